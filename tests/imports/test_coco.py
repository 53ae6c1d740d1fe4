"""COCO's outlines and run-length codes."""

import copy

import numpy as np
import pytest

from dreaming.errors import MaskError
from dreaming.imports.coco import is_coco, read_coco

SQUARE = [1, 1, 4, 1, 4, 3, 1, 3]
DATA = {
    "images": [{"id": 7, "file_name": "train/0002.jpg", "height": 7, "width": 9}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [SQUARE, [6, 4, 8, 4, 8, 6, 6, 6]], "iscrowd": 0},
        {"image_id": 7, "category_id": 2, "segmentation": {"size": [7, 9], "counts": "612220000000<NF"}},
        {"image_id": 7, "category_id": 2, "segmentation": {"size": [7, 9], "counts": [60, 3]}, "iscrowd": 1},
    ],
}


def test_outlines_and_codes_are_drawn():
    assert is_coco(DATA)
    found = read_coco("x", DATA).objects
    assert [(each.label, each.image, each.size) for each in found] == [
        ("cat", "0002", (7, 9)),
        ("dog", "0002", (7, 9)),
        ("dog", "0002", (7, 9)),
    ]
    polygons, code, runs = (each.draw() for each in found)
    expected = np.zeros((7, 9), bool)
    expected[1:3, 1:4] = expected[4:6, 6:8] = True
    np.testing.assert_array_equal(polygons, expected)
    assert code.sum() == 17
    assert code[0, 8]
    np.testing.assert_array_equal(np.argwhere(runs), [[4, 8], [5, 8], [6, 8]])


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("images",), {}),
        (("images", 0, "id"), "7"),
        (("images", 0, "height"), 7.5),
        (("categories", 0, "name"), None),
        (("annotations", 0), []),
        (("annotations", 0, "image_id"), 8),
        (("annotations", 0, "category_id"), 3),
        (("annotations", 0, "segmentation"), []),
        (("annotations", 0, "segmentation"), None),
        (("annotations", 0, "segmentation"), [[1, 1, 4, 1]]),
        (("annotations", 0, "segmentation"), [[1, 1, 4, 1, 4, "3"]]),
        (("annotations", 1, "segmentation", "size"), [9, 7]),
        (("annotations", 1, "segmentation", "counts"), "612"),
        (("annotations", 2, "segmentation", "counts"), [60, True]),
        (("annotations", 2, "segmentation", "counts"), [10**12]),
    ],
)
def test_what_is_not_understood_is_refused(keys, value):
    data = copy.deepcopy(DATA)
    node = data
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    with pytest.raises(MaskError):
        [each.draw() for each in read_coco("x", data).objects]
