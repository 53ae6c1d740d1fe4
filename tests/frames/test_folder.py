import errno
import io
import logging
import os
import resource
import struct
import threading
import time
import zlib
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreaming.errors import FrameError, SizeError, SpaceError
from dreaming.frames.folder import (
    FrameFolder,
    ahead,
    discard_unfinished,
    is_cut_off_jpeg,
    natural_key,
    write_atomically,
)

RNG = np.random.default_rng(3)
PICTURE = np.ascontiguousarray(cv2.resize(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), (40, 30)))  # (30, 40, 3)


def encoded(image, suffix, *options):
    """An image file's bytes; RGB or RGBA in, by OpenCV."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    return cv2.imencode(suffix, image, options)[1].tobytes()


def exif(orientation):
    """What a picture's header says of how to turn it."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)


def exif_jpeg(orientation):
    """PICTURE as a JPEG whose EXIF header tells how to turn it."""
    data = encoded(PICTURE, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 100)
    return data[:2] + segment(0xE1, b"Exif\0\0" + exif(orientation)) + data[2:]


def exif_tiff(image, orientation):
    """RGBA as a TIFF that tells how to turn it."""
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "TIFF", tiffinfo={0x0112: orientation})
    return file.getvalue()


def segment(marker, body):
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2) + body


def palette_png(colours, indices, opacity=None):
    """A PNG with a palette: colours (N, 3), indices (H, W), perhaps the colours' opacity (N,)."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = indices.shape
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in indices)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", colours.tobytes())]
    chunks += [] if opacity is None else [(b"tRNS", opacity.tobytes())]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in chunks)


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
    png = encoded(PICTURE, ".png")
    folder = folder_of(tmp_path / "f", **{f"{n}_png": png for n in ("10", "9", "1")})
    for name in ("notes.txt", "manifest.json", ".hidden.png", "._2.png", ".3.png.ab.part"):
        (tmp_path / "f" / name).write_bytes(png)
    (tmp_path / "f" / "11.JPG").write_bytes(encoded(PICTURE, ".jpg"))
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
    folder = folder_of(tmp_path / "f", a_png=encoded(PICTURE, ".png"), a_jpg=encoded(PICTURE, ".jpg"))
    with pytest.raises(FrameError, match=r"a\.png: found a second picture of the same name, a\.jpg"):
        len(folder)


# -- reading


LOSSLESS = {
    "png": encoded(PICTURE, ".png"),
    "tif": encoded(PICTURE, ".tif"),
    "tiff": encoded(PICTURE, ".tiff", cv2.IMWRITE_TIFF_COMPRESSION, 1),
    "webp": encoded(PICTURE, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    "PNG": encoded(PICTURE.astype(np.uint16) * 257, ".png"),
    "TIF": encoded(PICTURE.astype(np.uint16) * 257, ".tif"),
}


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_every_lossless_format_gives_the_same_rgb(tmp_path, suffix):
    found = folder_of(tmp_path / "f", **{f"1_{suffix}": LOSSLESS[suffix]}).read("1")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, PICTURE)


@pytest.mark.parametrize("progressive", [0, 1])
def test_jpeg_gives_nearly_the_same(tmp_path, progressive):
    options = (cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    found = folder_of(tmp_path / "f", **{"1_jpeg": encoded(PICTURE, ".jpg", *options)}).read("1")
    assert np.abs(found.astype(int) - PICTURE).mean() < 5


def test_grey_alpha_and_palette_become_rgb(tmp_path):
    grey = PICTURE[..., 0]
    alpha = np.dstack([PICTURE, np.full(grey.shape, 90, np.uint8)])
    colours, indices = RNG.integers(0, 256, (5, 3), dtype=np.uint8), RNG.integers(0, 5, (30, 40))
    folder = folder_of(
        tmp_path / "f",
        grey_png=encoded(grey, ".png"),
        deep_png=encoded(grey.astype(np.uint16) * 257, ".png"),
        alpha_png=encoded(alpha, ".png"),
        palette_png=palette_png(colours, indices),
    )
    np.testing.assert_array_equal(folder.read("grey"), np.dstack([grey] * 3))
    np.testing.assert_array_equal(folder.read("deep"), np.dstack([grey] * 3))
    np.testing.assert_array_equal(folder.read("alpha"), PICTURE)
    np.testing.assert_array_equal(folder.read("palette"), colours[indices])


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, -1), (3, 2), (8, 1)])
def test_exif_turns_are_followed(tmp_path, orientation, turns):
    found = folder_of(tmp_path / "f", **{"1_jpg": exif_jpeg(orientation)}).read("1")
    expected = np.rot90(PICTURE, turns)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 5


def test_masks_are_read_by_their_brightest_channel(tmp_path):
    painted = np.zeros((30, 40, 3), np.uint8)
    painted[:10, :, 0], painted[10:20, :, 1], painted[20:25] = 255, 127, 128
    folder = folder_of(tmp_path / "f", **{"1_png": encoded(painted, ".png")})
    values = folder.read_probability("1")
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[[0, 10, 20, 25], 0], [1, 127 / 255, 128 / 255, 0])
    np.testing.assert_array_equal(folder.read_mask("1")[[0, 10, 20, 25], 0], [True, False, True, False])


def test_what_is_transparent_in_a_mask_is_background(tmp_path):
    mask = np.zeros((30, 40, 4), np.uint8)
    mask[..., :3] = 255  # as paint programs leave it below erased strokes
    mask[:10, :, 3], mask[10:20, :, 3] = 255, 102
    mask[:, 20:, :3] = 0
    colours = np.array([[255, 255, 255], [255, 255, 255], [0, 0, 0]], np.uint8)
    indices = np.repeat([0, 1, 2], 10)[:, None].repeat(40, axis=1)
    folder = folder_of(
        tmp_path / "f",
        plain_png=encoded(mask, ".png"),
        deep_png=encoded(mask.astype(np.uint16) * 257, ".png"),
        tiff_tif=encoded(mask, ".tif"),
        web_webp=encoded(mask, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
        palette_png=palette_png(colours, indices, np.array([255, 0, 255], np.uint8)),
    )
    for name in ("plain", "deep", "tiff", "web"):
        values = folder.read_probability(name)
        assert values.dtype == np.float32
        np.testing.assert_allclose(values[[0, 10, 20]][:, [0, 20]], [[1, 0], [0.4, 0], [0, 0]], err_msg=name)
        np.testing.assert_array_equal(folder.read_mask(name)[[0, 10, 20], 0], [True, False, False])
    np.testing.assert_array_equal(folder.read_probability("palette")[[0, 10, 20], 0], [1, 0, 0])


@pytest.mark.parametrize("side", [40, 30])
@pytest.mark.parametrize(
    ("suffix", "depth"), [(".png", np.uint8), (".png", np.uint16), (".webp", np.uint8), (".tif", np.uint8)]
)
@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, -1), (3, 2), (8, 1)])
def test_colour_and_opacity_of_a_mask_are_turned_alike(tmp_path, side, suffix, depth, orientation, turns):
    mask = np.zeros((30, side, 4), np.uint8)
    mask[:20, :, :3] = 255
    mask[:, :10, 3] = 255
    scale = np.iinfo(depth).max // 255
    if suffix == ".tif":
        data = exif_tiff(mask, orientation)
    else:
        pixels = mask[..., [2, 1, 0, 3]].astype(depth) * scale
        told = np.frombuffer(exif(orientation), np.uint8)
        lossless = (cv2.IMWRITE_WEBP_QUALITY, 101)
        data = cv2.imencodeWithMetadata(suffix, pixels, [cv2.IMAGE_METADATA_EXIF], [told], lossless)[1].tobytes()
    found = folder_of(tmp_path / "f", **{f"1_{suffix[1:]}": data}).read_probability("1")
    expected = np.rot90(mask[..., 0] / 255.0 * mask[..., 3] / 255.0, turns)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_mask_without_transparency_is_read_as_it_was(tmp_path):
    grey = PICTURE[..., 0]
    masks = {
        "grey_png": encoded(grey, ".png"),
        "colour_png": encoded(PICTURE, ".png"),
        "tiff_tif": encoded(grey, ".tif"),
    }
    folder = folder_of(tmp_path / "f", **masks, photo_jpg=exif_jpeg(6))
    for name, expected in (("grey", grey), ("colour", PICTURE.max(axis=2)), ("tiff", grey)):
        np.testing.assert_allclose(folder.read_probability(name), expected / 255, rtol=1e-6)
    assert folder.read_probability("photo").shape == (40, 30), "turned as its header says"


DAMAGED = {
    "cut png": ("png", LOSSLESS["png"][: len(LOSSLESS["png"]) // 2]),
    "cut jpg": ("jpg", encoded(PICTURE, ".jpg")[: len(encoded(PICTURE, ".jpg")) * 3 // 4]),
    "jpg without its last bytes": ("jpg", encoded(PICTURE, ".jpg")[:-2]),
    "jpg cut in its header": ("jpg", encoded(PICTURE, ".jpg")[:30]),
    "cut tif": ("tif", LOSSLESS["tif"][: len(LOSSLESS["tif"]) // 2]),
    "cut webp": ("webp", LOSSLESS["webp"][: len(LOSSLESS["webp"]) // 2]),
    "text": ("png", b"not a picture"),
    "a size no picture has": ("png", LOSSLESS["png"][:16] + b"\0\xff\xff\xff" * 2 + LOSSLESS["png"][24:]),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_damaged_files_are_refused_by_name(tmp_path, fault):
    suffix, data = DAMAGED[fault]
    folder = folder_of(tmp_path / "f", **{f"0007_{suffix}": data})
    with pytest.raises(FrameError, match=rf"0007\.{suffix}: found a file that is damaged, cut off or no picture"):
        folder.read("0007", (30, 40))


def test_a_jpeg_s_thumbnail_does_not_hide_its_early_end(tmp_path):
    thumbnail = segment(0xE1, b"Exif\0\0" + encoded(PICTURE[:8, :8], ".jpg"))
    whole = encoded(PICTURE, ".jpg")
    with_thumbnail = whole[:2] + thumbnail + whole[2:]
    folder = folder_of(tmp_path / "f", whole_jpg=with_thumbnail, cut_jpg=with_thumbnail[:-40])
    assert folder.read("whole", (30, 40)).shape == PICTURE.shape
    with pytest.raises(FrameError, match=r"cut\.jpg: found a file that is damaged"):
        folder.read("cut", (30, 40))


@pytest.mark.parametrize("progressive", [0, 1])
def test_the_end_of_a_jpeg_is_looked_for_whatever_opencv_does(progressive):
    # OpenCV 5 refuses a cut-off JPEG by itself, OpenCV 4 fills it up with grey.
    whole = encoded(PICTURE, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    whole = whole[:2] + segment(0xE1, b"Exif\0\0" + whole) + b"\xff" + whole[2:]
    assert not is_cut_off_jpeg(whole)
    assert all(is_cut_off_jpeg(whole[:end]) for end in range(2, len(whole), 7))
    assert not is_cut_off_jpeg(LOSSLESS["png"][:50]), "another format's business"


def test_what_follows_a_jpeg_is_ignored(tmp_path):
    # Phones append a second picture or a clip, in which any bytes may stand.
    whole = encoded(PICTURE, ".jpg")
    folder = folder_of(tmp_path / "f", **{"1_jpg": whole + b"\x12\xff\xda\x34" * 9})
    assert folder.read("1").shape == PICTURE.shape


def test_an_empty_file_a_folder_and_an_absent_one_are_refused(tmp_path):
    folder = folder_of(tmp_path / "f", empty_png=b"", good_png=LOSSLESS["png"])
    (tmp_path / "f" / "folder.png").mkdir()
    with pytest.raises(FrameError, match=r"empty\.png: found an empty file"):
        folder.read("empty")
    with pytest.raises(FrameError, match=r"folder\.png: found a file that cannot be read \(Is a directory\)"):
        folder.read("folder")
    with pytest.raises(
        FrameError, match=r"absent\.png: found no such picture, expected one named like a frame \(empty"
    ):
        folder.read("absent")


def test_another_size_is_refused(tmp_path):
    folder = folder_of(tmp_path / "f", **{"1_png": LOSSLESS["png"], "2_png": encoded(PICTURE[:, :20], ".png")})
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
    for place, found in enumerate(ahead(work, names, depth)):
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
            raise FrameError("2.png", found="a", expected="b", mend="c")
        return name

    found = []
    with pytest.raises(FrameError):
        found.extend(iter_into(found, ahead(work, list("0123"), 4)))
    assert found == ["0", "1"]


def iter_into(found, results):
    for result in results:
        found.append(result)
    return []


def test_a_reader_that_stops_early_stops_the_reading():
    begun = []
    results = ahead(lambda name: begun.append(name) or name, [str(n) for n in range(50)], 2)
    assert next(results) == "0"
    results.close()
    assert len(begun) <= 3
