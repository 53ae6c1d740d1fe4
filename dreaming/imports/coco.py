"""COCO's JSON: outlines and run-length codes of objects in many images."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dreaming.errors import MaskError
from dreaming.imports.annotation import Annotation, Annotations, image_name, is_number, take, take_size
from dreaming.imports.outline import draw_polygons
from dreaming.imports.run_length import decode_coco
from dreaming.io.types import Mask, Size


def is_coco(data: Any) -> bool:
    """Whether parsed JSON is COCO's."""
    return isinstance(data, dict) and {"images", "annotations", "categories"} <= data.keys()


def read_coco(path: Path, data: Any) -> Annotations:
    """Read a file of COCO, whose JSON is parsed.

    Raises:
        MaskError: If it is not understood, or an object has no outline.
    """
    images: dict[int, tuple[str, Size]] = {}
    for number, image in enumerate(take(data, "images", list, path), 1):
        where = f"{path}, image {number}"
        size = take_size(image, "height", "width", where)
        images[take(image, "id", int, where)] = image_name(take(image, "file_name", str, where)), size
    labels: dict[int, str] = {}
    for number, category in enumerate(take(data, "categories", list, path), 1):
        where = f"{path}, category {number}"
        labels[take(category, "id", int, where)] = take(category, "name", str, where)
    objects = []
    for number, entry in enumerate(take(data, "annotations", list, path), 1):
        where = f"{path}, annotation {number}"
        image, size = _find(images, entry, "image_id", where)
        label = _find(labels, entry, "category_id", where)
        objects.append(Annotation(label, image, size, where, _drawing(entry.get("segmentation"), size, where)))
    return Annotations("COCO", tuple(objects))


def _find(known: Mapping[int, Any], entry: Any, key: str, where: str) -> Any:
    number = take(entry, key, int, where)
    if number not in known:
        raise MaskError(where, found=f"{key}: {number}", expected="the id of one that the file lists")
    return known[number]


def _drawing(code: Any, size: Size, where: str) -> "partial[Mask]":
    if isinstance(code, dict) and "counts" in code:
        counts, stated = code["counts"], code.get("size")
        is_list = isinstance(counts, list) and all(type(count) is int for count in counts)
        if not (is_list or isinstance(counts, str)) or stated != list(size):
            raise MaskError(where, found=f"a code of size {stated!r}", expected=f"{list(size)}, and counts")
        return partial(_decode, counts, size, where)
    polygons = code if isinstance(code, list) else []
    flat = all(
        isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0 and all(map(is_number, polygon))
        for polygon in polygons
    )
    if not polygons or not flat:
        raise MaskError(
            where,
            found="no outline",
            expected="segmentation, as lists of x and y or a run-length code",
            hint="remove the object, or draw its outline instead of a box",
        )
    return partial(draw_polygons, [list(zip(each[::2], each[1::2], strict=True)) for each in polygons], size)


def _decode(counts: str | list[int], size: Size, where: str) -> Mask:
    try:
        return decode_coco(counts, size)
    except ValueError as error:
        raise MaskError(where, found=str(error), expected="a run-length code of COCO") from None
