"""The guided filter: smoothing of a map that follows the edges of an image."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.io.types import Image, Probability

SHARE = 0.25
"""Largest radius of the window, relative to a subject's size: a wider one would blur a small subject away."""


def edge_window(radius: int, size: float) -> int:
    """Limit a window's ``radius`` in pixels for a subject of some ``size``, the square root of its area in pixels."""
    return int(min(radius, size * SHARE))


def guided_filter(values: Probability, guide: Image, radius: int, epsilon: float) -> Probability:
    """Smooth a map, preserving the edges of a frame (He et al., "Guided Image Filtering", TPAMI 2013; grey guide).

    Args:
        values: (H, W) in 0..1, like the result.
        guide: (H, W, 3) RGB.
        radius: Radius of the square window, in pixels; 0 returns the values unchanged.
        epsilon: Variance of grey values in 0..1 above which a structure is preserved as an edge.
    """
    if radius == 0:
        return values
    grey = cv2.cvtColor(guide, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255

    def mean(array: NDArray[Any]) -> NDArray[Any]:
        return cv2.blur(array, (2 * radius + 1, 2 * radius + 1))

    mean_grey, mean_values = mean(grey), mean(values)
    variance = mean(grey * grey) - mean_grey * mean_grey
    slope = (mean(grey * values) - mean_grey * mean_values) / (variance + epsilon)
    offset = mean_values - slope * mean_grey
    return np.clip(mean(slope) * grey + mean(offset), 0, 1).astype(np.float32)
