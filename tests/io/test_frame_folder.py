import os

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreaming.errors import FrameError, SizeError
from dreaming.io.frame_folder import FrameFolder, is_signed, natural_key
from dreaming.io.image import encode_png

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


def test_an_accent_is_one_character_however_a_system_writes_it(tmp_path):
    cv2.imwrite(str(tmp_path / "e\u0301.png"), np.zeros((4, 4), np.uint8))
    folder = FrameFolder(tmp_path)
    assert folder.stems == ["\u00e9"]
    assert folder.read("\u00e9").shape == (4, 4, 3)
    cv2.imwrite(str(tmp_path / "\u00e9.jpg"), np.zeros((4, 4), np.uint8))
    folder.refresh()
    with pytest.raises(FrameError):
        _ = folder.stems


def test_a_name_in_another_encoding_is_refused(tmp_path):
    (tmp_path / os.fsdecode(b"T\xe4nzer.png")).write_bytes(encode_png(PICTURE))
    with pytest.raises(FrameError):
        _ = FrameFolder(tmp_path).stems


def test_two_pictures_of_one_name_are_refused(tmp_path):
    folder = folder_of(tmp_path / "f", a_png=encode_png(PICTURE), a_jpg=encode_png(PICTURE))
    with pytest.raises(FrameError, match=r"a\.png: found a second picture of the same name, a\.jpg"):
        len(folder)


@pytest.mark.parametrize("how", ["file", "loop"])
def test_what_is_no_folder_is_refused(tmp_path, how):
    path = tmp_path / "f"
    path.touch() if how == "file" else path.symlink_to("f")
    with pytest.raises(FrameError) as caught:
        len(FrameFolder(path))
    assert caught.value.where == str(path)


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


# -- reading ahead


def test_frames_are_read_ahead_in_order(tmp_path):
    folder = FrameFolder(tmp_path)
    for number in range(7):
        folder.write(str(number), np.full((4, 6, 3), number, np.uint8))
    folder.refresh()
    assert [(stem, int(image[0, 0, 0])) for stem, image in folder.read_ahead(depth=3)] == [
        (str(n), n) for n in range(7)
    ]
    assert [stem for stem, _ in folder.read_ahead(["5", "2"])] == ["5", "2"]


def test_a_result_is_signed_until_somebody_else_saves_it(tmp_path):
    path = FrameFolder(tmp_path).write("1", PICTURE)
    assert is_signed(path)
    path.write_bytes(encode_png(PICTURE))
    assert not is_signed(path)
    assert not is_signed(tmp_path / "absent.png")


def test_hidden_colours_are_shown_over_black_on_request(tmp_path):
    image = np.full((4, 6, 4), 200, np.uint8)
    image[..., 3] = 0, 0, 0, 128, 255, 255
    cv2.imwrite(str(tmp_path / "1.png"), image)
    np.testing.assert_array_equal(FrameFolder(tmp_path).read("1"), 200)
    shown = FrameFolder(tmp_path, over_black=True).read("1")
    np.testing.assert_array_equal(shown[0, :, 0], [0, 0, 0, 100, 200, 200])
