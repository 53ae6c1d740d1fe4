"""A mask laid over its frame, to look at."""

import numpy as np

from dreaming.io.types import Image, Mask


def overlay(image: Image, found: Mask, truth: Mask | None = None) -> Image:
    """A frame with the found mask laid over it in green, and where it departs from the truth in red.

    Args:
        image: (H, W, 3).
        found: (H, W) bool.
        truth: (H, W) bool.
    """
    picture = image.astype(np.float32)
    picture[found] = picture[found] * 0.5 + np.array([0, 255, 0]) * 0.5
    if truth is not None:
        wrong = found != truth
        picture[wrong] = image[wrong] * 0.3 + np.array([255, 0, 0]) * 0.7
    return picture.astype(np.uint8)
