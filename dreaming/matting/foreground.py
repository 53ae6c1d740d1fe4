"""Colours of a layer alone, without the background that shows through at its edges."""

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.imaging.morphology import window_around
from dreaming.io.types import Probability

Colours = TypeVar("Colours", bound=NDArray[Any])

RADII = (90, 6)
"""Radius of the window of each pass, in pixels, as in the paper."""


def foreground_colours(image: Colours, alpha: Probability) -> Colours:
    """Estimate a layer's own colours where a matte is partly transparent; elsewhere the image is unchanged.

    Blur fusion (Forte 2021, "Approximate Fast Foreground Colour Estimation"), in two passes: both layers start as means
    of the image, weighted by their opacity, and the foreground takes what remains of the image.

    Args:
        image: (H, W, 3) RGB in 0..255, uint8 or float32, like the result.
        alpha: (H, W) in 0..1; 1 minus a matte gives the colours of the background.
    """
    soft = (alpha > 0) & (alpha < 1)
    if not soft.any():
        return image
    window = window_around(soft, sum(RADII))
    colours, opacity = image[window].astype(np.float32), alpha[window][..., None]
    front = back = colours
    for radius in RADII:
        front, back = _fuse(colours, front, back, opacity, radius)
    result = image.copy()
    inside = soft[window]
    result[window][inside] = front[inside] if image.dtype == np.float32 else np.rint(front[inside])
    return result


def _fuse(
    image: NDArray[Any], front: NDArray[Any], back: NDArray[Any], alpha: NDArray[Any], radius: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """One pass: foreground and background (H, W, 3) from those of the pass before."""

    def mean(values: NDArray[Any]) -> NDArray[Any]:
        return cv2.blur(values, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REPLICATE)

    share = mean(alpha)[..., None]
    front_mean = mean(front * alpha) / (share + 1e-5)
    back_mean = mean(back * (1 - alpha)) / (1 - share + 1e-5)
    rest = image - alpha * front_mean - (1 - alpha) * back_mean
    return np.clip(front_mean + alpha * rest, 0, 255), back_mean
