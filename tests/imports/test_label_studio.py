"""Label Studio's brush strokes and polygons."""

import copy

import numpy as np
import pytest

from dreaming.errors import MaskError
from dreaming.imports.label_studio import is_label_studio, read_label_studio

# label-studio-converter 0.0.59: brush.mask2rle of a mask (7, 9), of which test_run_length.py has the pixels
BRUSH = list(bytes.fromhex("000000fc391bfe1f008fff1380613ffbe0184ffef80613ffc5e011ffe1f000"))
SIZE = {"original_width": 9, "original_height": 7, "image_rotation": 0}
DATA = [
    {
        "id": 3,
        "data": {"image": "/data/upload/1/1a2b3c4d-0002.png"},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {
                "was_cancelled": False,
                "result": [
                    {**SIZE, "type": "brushlabels", "value": {"format": "rle", "rle": BRUSH, "brushlabels": ["cat"]}},
                    {
                        **SIZE,
                        "type": "polygonlabels",
                        "value": {"points": [[0, 0], [100, 0], [100, 50], [0, 50]], "polygonlabels": ["dog"]},
                    },
                ],
            },
        ],
    },
    {"data": {"image": "/data/local-files/?d=frames/0003.png"}, "annotations": []},
]


def test_strokes_and_polygons_are_drawn():
    assert is_label_studio(DATA)
    found = read_label_studio("x", DATA).objects
    assert [(each.label, each.image, each.size) for each in found] == [("cat", "0002", (7, 9)), ("dog", "0002", (7, 9))]
    brush, polygon = (each.draw() for each in found)
    assert brush.sum() == 17
    assert brush[2:5, 1:6].all()
    np.testing.assert_array_equal(polygon, np.arange(7)[:, None] * np.ones(9) < 3)


RESULT = (0, "annotations", 1, "result", 0)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ((0, "annotations"), None),
        ((0, "annotations", 0, "was_cancelled"), False),
        ((0, "data", "image"), 3),
        ((0, "data", "other"), "b.png"),
        ((*RESULT, "type"), "rectanglelabels"),
        ((*RESULT, "original_width"), 8),
        ((*RESULT, "image_rotation"), 90),
        ((*RESULT, "value", "brushlabels"), ["cat", "dog"]),
        ((*RESULT, "value", "brushlabels"), []),
        ((*RESULT, "value", "rle"), [256]),
        ((*RESULT, "value", "rle"), BRUSH[:-3]),
        ((*RESULT, "value", "format"), "png"),
        ((*RESULT[:-1], 1, "value", "points"), [[0, 0], [1, 1]]),
    ],
)
def test_what_is_not_understood_is_refused(keys, value):
    data = copy.deepcopy(DATA)
    node = data
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    with pytest.raises(MaskError):
        [each.draw() for each in read_label_studio("x", data).objects]
