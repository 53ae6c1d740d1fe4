import errno
import logging
import os
import resource
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreaming.errors import FrameError, SizeError, SpaceError
from dreaming.io.atomic import discard_unfinished, write_atomically
from dreaming.io.frame_folder import FrameFolder, natural_key
from dreaming.io.image import encode_png
from dreaming.io.prefetch import prefetch_map

RNG = np.random.default_rng(3)
PICTURE = np.ascontiguousarray(cv2.resize(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), (40, 30)))  # (30, 40, 3)


def folder_of(path, **files):
    path.mkdir(exist_ok=True)
    for name, data in files.items():
        stem, suffix = name.rsplit("_", 1)
        (path / f"{stem}.{suffix}").write_bytes(data)
    return FrameFolder(path)


# -- order and listing


@given(st.lists(st.integers(0, 10**9), unique=True), st.sampled_from(["", "frame", "a1-"]), st.booleans())
def test_numbers_sort_as_numbers(numbers, prefix, padded):
    stems = [f"{prefix}{number:010d}" if padded else f"{prefix}{number}" for number in numbers]
    expected = [f"{prefix}{number:010d}" if padded else f"{prefix}{number}" for number in sorted(numbers)]
    assert sorted(stems, key=natural_key) == expected


@given(st.lists(st.text("0129٣aé -_.", max_size=6), unique=True))
def test_any_names_have_one_order(stems):
    backwards = stems[::-1]
    assert sorted(stems, key=natural_key) == sorted(backwards, key=natural_key)
    assert len({natural_key(stem) for stem in stems}) == len(stems)


def test_listing_is_natural_and_leaves_out_what_is_no_picture(tmp_path):
    png = encode_png(PICTURE)
    folder = folder_of(tmp_path / "f", **{f"{n}_png": png for n in ("10", "9", "1")})
    for name in ("notes.txt", "manifest.json", ".hidden.png", "._2.png", ".3.png.ab.part"):
        (tmp_path / "f" / name).write_bytes(png)
    (tmp_path / "f" / "11.JPG").write_bytes(png)
    assert folder.stems == ["1", "9", "10", "11"]
    assert (len(folder), "9" in folder, "2" in folder) == (4, True, False)


def test_the_listing_stays_until_refreshed(tmp_path):
    folder = FrameFolder(tmp_path / "later")
    assert (len(folder), folder.stems) == (0, [])
    folder.write("1", PICTURE)
    assert len(folder) == 0
    folder.refresh()
    assert folder.stems == ["1"]
    assert folder.size == (30, 40)


def test_two_pictures_of_one_name_are_refused(tmp_path):
    folder = folder_of(tmp_path / "f", a_png=encode_png(PICTURE), a_jpg=encode_png(PICTURE))
    with pytest.raises(FrameError, match=r"a\.png: found a second picture of the same name, a\.jpg"):
        len(folder)


# -- reading


def test_masks_are_read_by_their_brightest_channel(tmp_path):
    painted = np.zeros((30, 40, 3), np.uint8)
    painted[:10, :, 0], painted[10:20, :, 1], painted[20:25] = 255, 127, 128
    folder = folder_of(tmp_path / "f", **{"1_png": encode_png(painted)})
    values = folder.read_probability("1")
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[[0, 10, 20, 25], 0], [1, 127 / 255, 128 / 255, 0])
    np.testing.assert_array_equal(folder.read_mask("1")[[0, 10, 20, 25], 0], [True, False, True, False])


def test_an_absent_one_is_refused_with_names_that_are_there(tmp_path):
    folder = folder_of(tmp_path / "f", a_png=encode_png(PICTURE), b_png=encode_png(PICTURE))
    told = r"absent\.png: found no such picture, expected one named like a frame \(a, b\)"
    with pytest.raises(FrameError, match=told):
        folder.read("absent")


def test_another_size_is_refused(tmp_path):
    folder = folder_of(tmp_path / "f", **{"1_png": encode_png(PICTURE), "2_png": encode_png(PICTURE[:, :20])})
    assert folder.read("1").shape == (30, 40, 3)
    with pytest.raises(SizeError, match=r"2\.png: found 20x30 pixels, expected 40x30 as the other frames"):
        folder.read("2")
    with pytest.raises(SizeError, match="expected 8x9"):
        folder.read_mask("1", (9, 8))
    assert folder.read("2", (30, 20)).shape == (30, 20, 3)


# -- writing


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_is_written_is_read_back(tmp_path, channels):
    image = RNG.integers(0, 256, (5, 7, channels), dtype=np.uint8).squeeze()
    path = FrameFolder(tmp_path / "new" / "folder").write("0001", image)
    assert path == tmp_path / "new" / "folder" / "0001.png"
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found if channels == 1 else found[..., [2, 1, 0, 3][:channels]], image)
    assert [p.name for p in path.parent.iterdir()] == ["0001.png"]


def test_probabilities_are_rounded_to_8_bits(tmp_path):
    values = np.array([[0, 0.5, 1, 1.5, -1, 0.25]], np.float32)
    folder = FrameFolder(tmp_path)
    folder.write_probability("1", values)
    folder.refresh()
    np.testing.assert_allclose(folder.read_probability("1")[0] * 255, [0, 128, 255, 255, 0, 64])


@contextmanager
def small_files():
    """No file may grow beyond 4 KiB: what the system says then is what a full disk's write says, but for the number.

    Not for longer than a call: pytest itself may be writing to a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_space_left_keeps_the_old_file_and_nothing_else(tmp_path):
    write_atomically(tmp_path / "a.png", b"old")
    told = r"a\.png: found no space left on the disk, expected room for 9,000 bytes"
    with pytest.raises(SpaceError, match=told), small_files():
        write_atomically(tmp_path / "a.png", bytes(9000))
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("call", ["mkdir", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_for_a_folder_or_name_is_told_alike(tmp_path, monkeypatch, call, number):
    def full(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(SpaceError):
        write_atomically(tmp_path / "new" / "a.png", b"data")


def test_other_faults_of_the_system_pass_through_and_leave_nothing(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "a.png", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_reader_never_sees_half_a_file(tmp_path):
    path, sizes, done = tmp_path / "a", set(), threading.Event()
    contents = [bytes([k]) * (1 << 20) for k in range(12)]
    write_atomically(path, contents[0])

    def read():
        while not done.is_set():
            data = path.read_bytes()
            sizes.add((len(data), len(set(data[:: 1 << 14]))))

    reader = threading.Thread(target=read)
    reader.start()
    for data in contents:
        write_atomically(path, data)
    done.set()
    reader.join()
    assert sizes == {(1 << 20, 1)}


def test_what_a_kill_left_is_removed_by_name(tmp_path):
    for name in (".1.png.ab_12x.part", ".2.png.cd.part", ".1.png", "1.png", "1.part", ".11.png.ab.part"):
        (tmp_path / name).touch()
    discard_unfinished(tmp_path, ["1.png", "3.png"])
    assert {path.name for path in tmp_path.iterdir()} == {
        ".2.png.cd.part",
        ".1.png",
        "1.png",
        "1.part",
        ".11.png.ab.part",
    }
    discard_unfinished(tmp_path / "absent", ["1.png"])


def test_what_another_process_takes_for_left_by_a_kill_is_written_again(tmp_path, monkeypatch, caplog):
    replace, discards = Path.replace, iter(range(3))

    def disturbed(path, target):
        if next(discards, None) is not None:
            discard_unfinished(tmp_path, ["1.png"])
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", disturbed)
    with caplog.at_level(logging.INFO):
        write_atomically(tmp_path / "1.png", b"whole")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"1.png": b"whole"}
    assert caplog.text.count("1.png: begun again") == 3


def test_the_data_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append((os.fstat(handle), (tmp_path / "1.png").exists())))
    write_atomically(tmp_path / "1.png", b"whole")
    ((status, named),) = synced
    assert (status.st_size, status.st_ino, named) == (5, (tmp_path / "1.png").stat().st_ino, False)


def test_a_file_that_never_stays_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "replace", lambda path, target: path.unlink() or path.stat())
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "1.png", b"whole")
    assert not list(tmp_path.iterdir())


# -- reading ahead


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_reading_ahead_keeps_order_and_distance(depth):
    begun = []

    def work(name):
        time.sleep(0.002 * (int(name) % 3))
        begun.append(int(name))
        return int(name)

    names = [str(number) for number in range(12)]
    for place, found in enumerate(prefetch_map(work, names, depth)):
        assert found == place
        wanted, deadline = min(place + depth, 11), time.monotonic() + 10
        while len(begun) <= wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        assert max(begun) == wanted, "neither further ahead than asked for, nor less"


def test_frames_are_read_ahead_in_order(tmp_path):
    folder = FrameFolder(tmp_path)
    for number in range(7):
        folder.write(str(number), np.full((4, 6, 3), number, np.uint8))
    folder.refresh()
    assert [(stem, int(image[0, 0, 0])) for stem, image in folder.read_ahead(depth=3)] == [
        (str(n), n) for n in range(7)
    ]
    assert [stem for stem, _ in folder.read_ahead(["5", "2"])] == ["5", "2"]


def test_an_error_ahead_comes_at_its_place():
    def work(name):
        if name == "2":
            raise FrameError("2.png", found="a", expected="b", hint="c")
        return name

    found = []
    with pytest.raises(FrameError):
        found.extend(iter_into(found, prefetch_map(work, list("0123"), 4)))
    assert found == ["0", "1"]


def iter_into(found, results):
    for result in results:
        found.append(result)
    return []


def test_a_reader_that_stops_early_stops_the_reading():
    begun = []
    results = prefetch_map(lambda name: begun.append(name) or name, [str(n) for n in range(50)], 2)
    assert next(results) == "0"
    results.close()
    assert len(begun) <= 3
