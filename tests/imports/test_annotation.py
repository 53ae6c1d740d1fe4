"""Values of foreign JSON: types, ranges and names."""

import pytest

from dreaming.errors import MaskError
from dreaming.imports.annotation import image_name, read_json, take, take_points, take_size


@pytest.mark.parametrize(
    ("value", "kind"), [(True, int), (1.5, int), ("1", int), (None, str), (1, bool), ([], dict), (True, float)]
)
def test_a_value_of_another_type_is_refused(value, kind):
    with pytest.raises(MaskError):
        take({"x": value}, "x", kind, "here")
    with pytest.raises(MaskError):
        take({}, "x", kind, "here")
    with pytest.raises(MaskError):
        take([value], "x", kind, "here")


def test_values_are_taken():
    assert take({"x": 3}, "x", float, "here") == 3.0
    assert take_size({"h": 4, "w": 6}, "h", "w", "here") == (4, 6)
    assert take_points([[1, 2.5], [0, 0]], "here") == [(1.0, 2.5), (0.0, 0.0)]


@pytest.mark.parametrize("value", [None, [1, 2], [[1]], [[1, "2"]], [[float("nan"), 0]], [[1e12, 0]], [[True, 0]]])
def test_points_that_are_none_are_refused(value):
    with pytest.raises(MaskError):
        take_points(value, "here")


@pytest.mark.parametrize("side", [0, -1, 100_001])
def test_impossible_sizes_are_refused(side):
    with pytest.raises(MaskError):
        take_size({"h": side, "w": 1}, "h", "w", "here")


@pytest.mark.parametrize("text", ["{", "[" * 100 + "]" * 100, ""])
def test_what_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(MaskError):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("text", ["0001.png", "a/0001.png", r"C:\x\0001.jpg", "/data/upload/3/0001.png"])
def test_folders_and_suffix_are_no_part_of_a_name(text):
    assert image_name(text) == "0001"
