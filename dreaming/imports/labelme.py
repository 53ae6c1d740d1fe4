"""LabelMe's JSON files: one for each image, with polygons and other shapes."""

import base64
import binascii
import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from dreaming.errors import MaskError
from dreaming.imports.annotation import Annotation, Annotations, image_name, read_json, take, take_points, take_size
from dreaming.imports.outline import draw_circle, draw_polygon
from dreaming.io.types import Mask, Size


def is_labelme(data: Any) -> bool:
    """Whether parsed JSON is one of LabelMe's files."""
    return isinstance(data, dict) and isinstance(data.get("shapes"), list) and "imagePath" in data


def read_labelme(paths: Sequence[Path]) -> Annotations:
    """Read the files of one video.

    Raises:
        MaskError: If a file is not understood, or a shape has no area.
    """
    return Annotations("LabelMe", tuple(each for path in paths for each in _objects(path)))


def _objects(path: Path) -> list[Annotation]:
    data = read_json(path)
    if not is_labelme(data):
        raise MaskError(path, found="another kind of JSON", expected="a file of LabelMe, as the others are")
    size = take_size(data, "imageHeight", "imageWidth", path)
    image = image_name(take(data, "imagePath", str, path))
    objects = []
    for number, shape in enumerate(data["shapes"], 1):
        where = f"{path}, shape {number}"
        label = take(shape, "label", str, where)
        objects.append(Annotation(label, image, size, where, _drawing(shape, size, where)))
    return objects


def _drawing(shape: dict[str, Any], size: Size, where: str) -> "partial[Mask]":
    kind = shape.get("shape_type", "polygon")
    points = take_points(shape.get("points"), where)
    if kind == "polygon" and len(points) >= 3:
        return partial(draw_polygon, points, size)
    if kind in ("rectangle", "circle", "mask") and len(points) == 2:
        (x0, y0), (x1, y1) = points
        if kind == "rectangle":
            return partial(draw_polygon, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)], size)
        if kind == "circle":
            return partial(draw_circle, (x0, y0), float(np.hypot(x1 - x0, y1 - y0)), size)
        return partial(_draw_patch, take(shape, "mask", str, where), (round(x0), round(y0)), size, where)
    raise MaskError(
        where,
        found=f"a shape of kind {kind!r} with {len(points)} points",
        expected="a polygon, rectangle, circle or mask",
        hint="remove it or draw it as a polygon",
    )


def _draw_patch(text: str, corner: tuple[int, int], size: Size, where: str) -> Mask:
    """A mask within its bounding box, stored as a PNG in base 64."""
    try:
        with PIL.Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as file:
            height, width = file.height, file.width
            (left, top), mask = corner, np.zeros(size, np.bool_)
            if left < 0 or top < 0 or left + width > size[1] or top + height > size[0]:
                raise MaskError(where, found="a mask that exceeds the image", expected="one within it")
            mask[top : top + height, left : left + width] = np.asarray(file.convert("L")) > 0
            return mask
    except (binascii.Error, OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise MaskError(where, found=f"a damaged mask ({error})", expected="a PNG in base 64") from None
