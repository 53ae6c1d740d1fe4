"""LabelMe's shapes."""

import base64
import io
import json

import numpy as np
import PIL.Image
import pytest

from dreaming.errors import MaskError
from dreaming.imports.labelme import read_labelme

SQUARE = [[1, 1], [4, 1], [4, 3], [1, 3]]


def shape(points=SQUARE, kind="polygon", label="cat", **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def write(path, *shapes, **more):
    data = {"version": "5.4", "shapes": list(shapes), "imagePath": r"..\frames\0002.png", "imageData": None}
    path.write_text(json.dumps({**data, "imageHeight": 5, "imageWidth": 7, **more}))
    return path


def png(mask):
    file = io.BytesIO()
    PIL.Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_shapes_are_drawn(tmp_path):
    patch = np.array([[1, 0], [1, 1]], bool)
    shapes = [
        shape(),
        shape([[1, 1], [4, 3]], "rectangle", "box"),
        shape([[3.5, 2.5], [3.5, 4.6]], "circle", "ball"),
        shape([[5, 3], [6, 4]], "mask", "dot", mask=png(patch)),
    ]
    found = read_labelme([write(tmp_path / "x.json", *shapes)])
    assert {(each.image, each.size) for each in found.objects} == {("0002", (5, 7))}
    masks = {each.label: each.draw() for each in found.objects}
    expected = np.zeros((5, 7), bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(masks["cat"], expected)
    np.testing.assert_array_equal(masks["box"], expected)
    assert masks["ball"].sum() == 13
    np.testing.assert_array_equal(np.argwhere(masks["dot"]), [[3, 5], [4, 5], [4, 6]])


@pytest.mark.parametrize(
    "entry",
    [
        shape(SQUARE[:2]),
        shape(kind="linestrip"),
        shape([[1, 1]], "point"),
        shape(label=3),
        shape([[1, None]]),
        shape("text"),
        shape([[5, 3], [6, 4]], "mask", mask="no PNG"),
        shape([[6, 4], [7, 5]], "mask", mask=png(np.ones((2, 2), bool))),
        shape([[1, 1], [2, 2]], "mask"),
        "text",
    ],
)
def test_shapes_without_an_area_are_refused(tmp_path, entry):
    path = write(tmp_path / "x.json", entry)
    with pytest.raises(MaskError):
        [each.draw() for each in read_labelme([path]).objects]


@pytest.mark.parametrize("more", [{"imageHeight": None}, {"imageWidth": 0}, {"imagePath": 1}, {"shapes": {}}])
def test_a_damaged_file_is_refused(tmp_path, more):
    with pytest.raises(MaskError):
        read_labelme([write(tmp_path / "x.json", shape(), **more)])
