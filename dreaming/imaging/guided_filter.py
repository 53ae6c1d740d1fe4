"""The guided filter: smoothing of a map that follows the edges of an image, by its grey values or its colours."""

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


def colour_guided_filter(values: Probability, guide: Image, radius: int, epsilon: float) -> Probability:
    """Explain a map by the colours of a frame, linearly in each window (He et al. 2013, equations 19 to 21).

    Thin structures such as hair appear in the result as sharp as in the frame, where their colour differs from what is
    behind them.

    Args:
        values: (H, W) in 0..1, like the result.
        guide: (H, W, 3) RGB.
        radius: Radius of the square window, in pixels.
        epsilon: Variance of colours in 0..1 above which a structure is preserved.
    """

    def mean(array: NDArray[Any]) -> NDArray[Any]:
        return cv2.blur(array, (2 * radius + 1, 2 * radius + 1))

    channels = cv2.split(guide.astype(np.float32) / 255)
    means, mean_values = [mean(channel) for channel in channels], mean(values)
    shared = [mean(c * values) - m * mean_values for c, m in zip(channels, means, strict=True)]

    def covariance(first: int, second: int) -> NDArray[Any]:
        product = mean(channels[first] * channels[second]) - means[first] * means[second]
        return product.astype(np.float64)  # the determinant of a grey picture vanishes in float32

    rr, gg, bb = (covariance(k, k) + epsilon for k in range(3))
    rg, rb, gb = covariance(0, 1), covariance(0, 2), covariance(1, 2)
    # The slopes solve a symmetric system of three equations at each pixel; the inverse is adjugate / determinant.
    adjugate = (
        (gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb),
        (gb * rb - rg * bb, rr * bb - rb * rb, rb * rg - rr * gb),
        (rg * gb - gg * rb, rb * rg - rr * gb, rr * gg - rg * rg),
    )
    determinant = rr * adjugate[0][0] + rg * adjugate[0][1] + rb * adjugate[0][2]
    slopes = [
        (sum(a * s for a, s in zip(row, shared, strict=True)) / determinant).astype(np.float32) for row in adjugate
    ]
    offset = mean_values - sum(slope * m for slope, m in zip(slopes, means, strict=True))
    fitted = sum(mean(slope) * channel for slope, channel in zip(slopes, channels, strict=True)) + mean(offset)
    return np.clip(fitted, 0, 1).astype(np.float32)
