"""Whether a painter's strokes travel with what they are painted on, or are laid anew on each picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.io.types import Image, Mask

MIN_DIFFERENCE = 4.0
"""Mean difference to the frame, in levels, from which on a pixel's surroundings count as painted over."""

MIN_PIXELS = 100
"""Pixels below which a correlation of two pictures' detail says nothing."""

REACH = 2.5
"""Sigmas from which on a blur takes next to nothing from a pixel."""


def detail(image: Image, sigma: float) -> NDArray[np.float32]:
    """Grey (H, W) less its Gaussian blur: what is finer than about ``sigma`` pixels."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return grey - cv2.GaussianBlur(grey, (0, 0), sigma)


def detail_correlation(painted: Image, by: Image, where: NDArray[np.bool_], sigma: float) -> float | None:
    """Correlation of a painting's detail with another picture's, over some pixels; None where there are too few.

    A picture without any detail foretells none: that is 0.

    Args:
        painted: (H, W, 3).
        by: (H, W, 3), a frame or another painting carried to it.
        where: (H, W), the pixels compared.
        sigma: Of the blur that is not detail, in pixels.
    """
    if np.count_nonzero(where) < MIN_PIXELS:
        return None
    one, other = (detail(picture, sigma)[where] for picture in (painted, by))
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def painted_over(painted: Image, frame: Image, sigma: float) -> Mask:
    """Where a keyframe (H, W, 3) was painted over at all, and not left as its frame is, (H, W).

    Args:
        painted: The keyframe.
        frame: The frame under it.
        sigma: Of the Gaussian over which their difference is averaged, in pixels.
    """
    apart = cv2.absdiff(painted, frame).mean(axis=2, dtype=np.float32)
    return cv2.GaussianBlur(apart, (0, 0), sigma) > MIN_DIFFERENCE


def without_margin(mask: Mask, sigma: float) -> Mask:
    """A mask (H, W) without its margin, where ``detail`` shows the edge of what is painted, and not strokes.

    Args:
        mask: Where a keyframe is painted.
        sigma: Of the blur that is not detail, in pixels.
    """
    reach = int(np.ceil(REACH * sigma))
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return cv2.erode(mask.astype(np.uint8), kernel).astype(np.bool_)
