"""Masks of other programs before they are drawn, and checks of the JSON that describes them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from dreaming.errors import MaskError
from dreaming.io.plain_data import read_plain_json
from dreaming.io.types import Mask, Size

T = TypeVar("T")


@dataclass(frozen=True)
class Annotation:
    """One annotated object in one image.

    Attributes:
        label: What it shows.
        image: Name of the image file, without folders and suffix.
        size: (height, width) of the image in pixels.
        where: The file, and the entry in it, for errors.
        draw: Returns its mask (H, W).
    """

    label: str
    image: str
    size: Size
    where: str
    draw: Callable[[], Mask]


@dataclass(frozen=True)
class Annotations:
    """What a file or folder describes.

    Attributes:
        format: Name of the format.
        objects: The objects, in the order of the file.
        dense: Names of images whose every pixel is annotated, so that a label that is not there is absent.
        counts_from_zero: Whether names of images are known to count the video's frames from 0.
    """

    format: str
    objects: tuple[Annotation, ...]
    dense: tuple[str, ...] = ()
    counts_from_zero: bool = False


def read_json(path: Path) -> Any:
    """Read a JSON file of another program.

    Raises:
        MaskError: If it is no JSON, too large or too deeply nested.
    """
    try:
        return read_plain_json(path)
    except (FileNotFoundError, ValueError) as error:
        raise MaskError(path, found=f"no JSON that can be read ({error})", expected="an annotation file") from None


def take(data: Any, key: str, kind: type[T], where: object) -> T:
    """The value of a key of a JSON object.

    Raises:
        MaskError: If it is missing or of another type; ``bool`` is no ``int``, but ``int`` is a ``float``.
    """
    value: Any = data.get(key) if isinstance(data, dict) else None
    numeric = kind is float and isinstance(value, int)
    if isinstance(value, bool) is not (kind is bool) or not (isinstance(value, kind) or numeric):
        kinds = {str: "text", int: "a whole number", float: "a number", list: "a list", dict: "an object"}
        found = f"{key}: {_short(value)}" if isinstance(data, dict) and key in data else f"no {key}"
        raise MaskError(where, found=found, expected=f"{key}, {kinds.get(kind, kind.__name__)}")
    return cast(T, float(value) if numeric else value)


def take_size(data: Any, height: str, width: str, where: object) -> Size:
    """(height, width) in pixels from two keys.

    Raises:
        MaskError: If one is missing, no whole number or not in 1 to 100,000.
    """
    size = take(data, height, int, where), take(data, width, int, where)
    if not all(0 < side <= 100_000 for side in size):
        raise MaskError(where, found=f"a size of {size[1]}x{size[0]}", expected="1 to 100,000 pixels")
    return size


def take_points(value: Any, where: object) -> list[tuple[float, float]]:
    """Points (x, y) from a list of pairs of numbers.

    Raises:
        MaskError: If it is none, or a number is not finite.
    """
    if not isinstance(value, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(map(is_number, pair)) for pair in value
    ):
        raise MaskError(where, found=f"points: {_short(value)}", expected="pairs of numbers")
    return [(float(x), float(y)) for x, y in value]


def is_number(value: Any) -> bool:
    """Whether a value from JSON is a finite number below a billion."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 1e9


def image_name(text: str) -> str:
    """Name of an image file without folders, of any system, and suffix."""
    return Path(text.replace("\\", "/").rpartition("/")[2]).stem


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
