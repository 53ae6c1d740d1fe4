"""Outlines of objects drawn as masks."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from dreaming.io.types import Mask, Size

Points = Sequence[tuple[float, float]]


def draw_polygon(points: Points, size: Size) -> Mask:
    """Draw a closed polygon: a pixel belongs to it if its centre is inside, by the even-odd rule.

    Args:
        points: Corners (x, y) in pixels; (0, 0) is the outer corner of the first pixel, whose centre is (0.5, 0.5).
        size: (height, width) of the mask.
    """
    height, width = size
    flips = np.zeros((height, width + 1), np.uint8)
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        if y0 == y1:
            continue
        low, high = sorted((y0, y1))
        rows = np.arange(max(0, math.ceil(low - 0.5)), min(height, math.ceil(high - 0.5)))
        crossings = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(np.intp)
        flips[rows, columns] ^= 1
    return np.bitwise_xor.accumulate(flips[:, :width], axis=1).astype(np.bool_)


def draw_polygons(polygons: Iterable[Points], size: Size) -> Mask:
    """Draw the union of several polygons."""
    mask = np.zeros(size, np.bool_)
    for points in polygons:
        mask |= draw_polygon(points, size)
    return mask


def draw_circle(centre: tuple[float, float], radius: float, size: Size) -> Mask:
    """Draw a disc: pixels whose centre is at most ``radius`` from the centre (x, y)."""
    rows, columns = np.ogrid[: size[0], : size[1]]
    inside: Mask = np.hypot(columns + 0.5 - centre[0], rows + 0.5 - centre[1]) <= radius
    return inside
