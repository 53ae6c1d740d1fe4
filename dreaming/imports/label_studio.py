"""Label Studio's JSON: brush strokes as run-length codes, and polygons."""

import re
from functools import partial
from pathlib import Path
from typing import Any

from dreaming.errors import MaskError
from dreaming.imports.annotation import Annotation, Annotations, image_name, take, take_points, take_size
from dreaming.imports.outline import draw_polygon
from dreaming.imports.run_length import decode_label_studio
from dreaming.io.types import Mask, Size

KINDS = {"brushlabels": "brush strokes", "polygonlabels": "polygons"}

_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""


def is_label_studio(data: Any) -> bool:
    """Whether parsed JSON is an export of tasks by Label Studio."""
    return isinstance(data, list) and bool(data) and all(isinstance(task, dict) and "data" in task for task in data)


def read_label_studio(path: Path, data: Any) -> Annotations:
    """Read an export "JSON", which is parsed.

    Raises:
        MaskError: If it is not understood, or a task has several annotations.
    """
    return Annotations(
        "Label Studio", tuple(each for number, task in enumerate(data, 1) for each in _objects(path, number, task))
    )


def _objects(path: Path, number: int, task: dict[str, Any]) -> list[Annotation]:
    where = f"{path}, task {number}"
    found = [each for each in take(task, "annotations", list, where) if not _is_cancelled(each)]
    if len(found) > 1:
        raise MaskError(
            where, found=f"{len(found)} annotations", expected="one", hint="keep the right one in Label Studio"
        )
    image = _image(task, where)
    objects = []
    for index, entry in enumerate(take(found[0], "result", list, where) if found else [], 1):
        at = f"{where}, result {index}"
        kind = take(entry, "type", str, at)
        value = take(entry, "value", dict, at)
        if kind not in KINDS:
            raise MaskError(at, found=f"a result of type {kind}", expected=" or ".join(KINDS))
        labels = take(value, kind, list, at)
        if len(labels) != 1 or not isinstance(labels[0], str):
            raise MaskError(at, found=f"{len(labels)} labels", expected="one")
        size = take_size(entry, "original_height", "original_width", at)
        if entry.get("image_rotation", 0) != 0:
            raise MaskError(at, found="a rotated image", expected="an upright one")
        objects.append(Annotation(labels[0], image, size, at, _drawing(kind, value, size, at)))
    return objects


def _is_cancelled(annotation: Any) -> bool:
    return isinstance(annotation, dict) and annotation.get("was_cancelled") is True


def _image(task: dict[str, Any], where: str) -> str:
    """Name of the task's image: the only address among its data."""
    data = take(task, "data", dict, where)
    texts = [text for text in data.values() if isinstance(text, str) and re.search(r"\.\w{3,4}$", text)]
    if len(texts) != 1:
        raise MaskError(where, found=f"{len(texts)} files in data", expected="one image")
    return _UPLOAD.sub("", image_name(texts[0].rpartition("?d=")[2]))


def _drawing(kind: str, value: dict[str, Any], size: Size, where: str) -> "partial[Mask]":
    if kind == "polygonlabels":
        points = take_points(value.get("points"), where)
        if len(points) < 3:
            raise MaskError(where, found=f"{len(points)} points", expected="3 or more")
        return partial(draw_polygon, [(x / 100 * size[1], y / 100 * size[0]) for x, y in points], size)
    code = take(value, "rle", list, where)
    if value.get("format", "rle") != "rle" or not all(type(byte) is int and 0 <= byte <= 255 for byte in code):
        raise MaskError(where, found="no run-length code", expected="rle, a list of 0 to 255")
    return partial(_decode, bytes(code), size, where)


def _decode(code: bytes, size: Size, where: str) -> Mask:
    try:
        mask: Mask = decode_label_studio(code, size)[..., 3] > 127
    except ValueError as error:
        raise MaskError(where, found=str(error), expected="a run-length code of Label Studio") from None
    return mask
