"""Trimaps: certain foreground, certain background, and a band of unknown pixels between them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.io.types import Mask, Probability

CERTAIN = 0.05
"""Probability below which a pixel is certain background, and above 1 minus which it is certain foreground."""

UNKNOWN = 0.5
"""Value of unknown pixels in a trimap."""


def make_trimap(probability: Probability, band: int) -> NDArray[np.float32]:
    """Divide a frame into background (0), unknown pixels (0.5) and foreground (1), (H, W).

    Unknown are pixels within ``band`` pixels of the outline or of an uncertain pixel, so that the band is wide where
    the mask is uncertain. A frame without foreground is background.

    Args:
        probability: (H, W) in 0..1.
        band: In pixels.
    """
    inside = (probability > 0.5).astype(np.uint8)
    if not inside.any():
        return np.zeros(probability.shape, np.float32)
    outline = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    uncertain = (probability > CERTAIN) & (probability < 1 - CERTAIN)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    unknown = cv2.dilate(outline | uncertain.view(np.uint8), disc)
    return np.where(unknown > 0, np.float32(UNKNOWN), inside.astype(np.float32))


def with_certain_sides(probability: Probability, band: int) -> Probability:
    """Make a mask (H, W) in 0..1 certain far from its outline: opaque inside, empty outside.

    A masker that is unsure of the middle of a subject does not mean that one sees through it; nor is what it takes for
    the subject elsewhere, at less than even odds, a part of it. Certainty rises from ``band`` to twice as many pixels
    inside, and from twice to four times as many outside, where hair may reach.
    """
    inside = probability > 0.5
    depth, distance = (cv2.distanceTransform(side.view(np.uint8), cv2.DIST_L2, 5) for side in (inside, ~inside))
    certain = np.where(inside, depth - band, distance / 2 - band) / np.float32(band)
    return probability + (inside - probability) * np.clip(certain, 0, 1)


def soft_band(matte: Probability, radius: int = 10) -> Mask:
    """Pixels within ``radius`` pixels of a soft edge of a true matte (H, W), where errors of mattes are measured."""
    soft = ((matte > 0.004) & (matte < 0.996)).view(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(soft, disc) > 0
