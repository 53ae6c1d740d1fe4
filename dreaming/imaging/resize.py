"""Resizing of images."""

from typing import Any

import cv2
from numpy.typing import NDArray

from dreaming.io.types import Size


def working_size(size: Size, short_side: int | None) -> Size:
    """(height, width) after scaling the shorter side down to ``short_side``; unchanged if it is smaller or None."""
    if short_side is None or short_side >= min(size):
        return size
    height, width = (max(1, round(length * short_side / min(size))) for length in size)
    return height, width


def resize_image(image: NDArray[Any], size: Size) -> NDArray[Any]:
    """Resize (H, W) or (H, W, C) to (height, width): by area averaging if the pixels become fewer, else bilinearly."""
    if image.shape[:2] == tuple(size):
        return image
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
