"""Pictures with a palette."""

import numpy as np
import PIL.Image
import pytest

from dreaming.errors import MaskError
from dreaming.imports.davis import read_davis


def save(path, indices, mode="P"):
    picture = PIL.Image.frombytes(mode, indices.shape[::-1], indices.astype(np.uint8).tobytes())
    if mode == "P":
        picture.putpalette(list(range(256)) * 3)
    picture.save(path)
    return path


def test_each_index_is_an_object(tmp_path):
    first, second = np.zeros((2, 4, 6), np.uint8)
    first[1, 2:4], first[3], second[0, 0] = 1, 2, 2
    found = read_davis([save(tmp_path / "00000.png", first), save(tmp_path / "00001.png", second)])
    assert [(each.label, each.image, each.size) for each in found.objects] == [
        ("object-1", "00000", (4, 6)),
        ("object-2", "00000", (4, 6)),
        ("object-2", "00001", (4, 6)),
    ]
    for each, expected in zip(found.objects, [first == 1, first == 2, second == 2], strict=True):
        np.testing.assert_array_equal(each.draw(), expected)
    assert found.dense == ("00000", "00001")


def test_a_black_and_white_picture_has_one_object(tmp_path):
    mask = np.eye(4, 6, dtype=np.uint8) * 255
    (found,) = read_davis([save(tmp_path / "x.png", mask, "L")]).objects
    assert found.label == "object-1"
    np.testing.assert_array_equal(found.draw(), mask > 0)


@pytest.mark.parametrize(("value", "mode"), [(255, "P"), (1, "L")])
def test_other_pictures_are_refused(tmp_path, value, mode):
    with pytest.raises(MaskError):
        read_davis([save(tmp_path / "x.png", np.full((4, 6), value), mode)])


def test_too_many_objects_are_refused(tmp_path):
    with pytest.raises(MaskError):
        read_davis([save(tmp_path / "x.png", np.arange(100).reshape(10, 10))])


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"text"])
def test_a_damaged_picture_is_refused(tmp_path, data):
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(MaskError):
        read_davis([tmp_path / "x.png"])
