"""Operations on the shape of masks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.errors import ConfigError
from dreaming.io.types import Mask, Probability, Size


def feather(mask: Probability, sigma: float) -> Probability:
    """Soften a mask's edge with a Gaussian.

    Args:
        mask: (H, W) in 0..1.
        sigma: Of the Gaussian, in pixels; 0 leaves the mask as it is.

    Returns:
        (H, W) in 0..1; beyond the frame's border the mask goes on as at the border.
    """
    if sigma == 0:
        return mask
    blurred = cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.clip(blurred, 0, 1).astype(np.float32)


def remove_isolated(mask: Mask, neighbours: int = 3) -> Mask:
    """Keep a foreground pixel if more than ``neighbours`` of its 8 neighbours are foreground.

    At the border, where n < 8 neighbours lie in the frame, more than ``neighbours`` n / 8 of them must be. From
    "Evaluation of Background Subtraction Algorithms with Post-Processing" (Parks and Fels 2008), section 3.1.

    Args:
        mask: (H, W).
        neighbours: From 0 to 7.
    """
    picture = np.ascontiguousarray(mask).view(np.uint8)
    counts = cv2.boxFilter(picture, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    enough = cv2.compare(counts, _needed(mask.shape, neighbours), cv2.CMP_GE)
    return cv2.bitwise_and(picture, enough).view(np.bool_)


@lru_cache(maxsize=8)
def _needed(size: Size, neighbours: int) -> NDArray[np.uint8]:
    """How many foreground pixels, itself among them, a kept pixel's 3x3 window holds, (H, W)."""
    rows, columns = (np.convolve(np.ones(side), np.ones(3))[1:-1] for side in size)
    around = np.outer(rows, columns) - 1
    return (neighbours * around // 8 + 2).astype(np.uint8)


def close(mask: Mask, side: int = 19) -> Mask:
    """Close gaps: dilation, then erosion, by a square; what lies beyond the frame is left out of both.

    Args:
        mask: (H, W).
        side: Of the square in pixels, odd; 1 leaves the mask as it is.
    """
    square = np.ones((side, side), np.uint8)
    return cv2.morphologyEx(np.ascontiguousarray(mask).view(np.uint8), cv2.MORPH_CLOSE, square).view(np.bool_)


def remove_small(mask: Mask, share: float = 0.01) -> Mask:
    """Drop blobs (pixels that touch by sides or corners) of less than ``share`` of the frame's area."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=8, ltype=cv2.CV_32S
    )
    if count == 1:
        return mask.copy()
    kept = facts[:, cv2.CC_STAT_AREA] >= share * mask.size
    kept[0] = False
    return kept[labels]


def fill_holes(mask: Mask, share: float = 1.0) -> Mask:
    """Fill background that the foreground encloses, if it takes at most ``share`` of the frame's area.

    Background touches by sides only, so that a ring of foreground closed by corners encloses; what reaches the frame's
    border is not enclosed.
    """
    count, labels, facts, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    height, width = mask.shape
    left, top = facts[:, cv2.CC_STAT_LEFT], facts[:, cv2.CC_STAT_TOP]
    right, bottom = left + facts[:, cv2.CC_STAT_WIDTH], top + facts[:, cv2.CC_STAT_HEIGHT]
    enclosed = (left > 0) & (top > 0) & (right < width) & (bottom < height)
    filled = enclosed & (facts[:, cv2.CC_STAT_AREA] <= share * mask.size)
    filled[0] = False
    return mask | filled[labels] if count > 1 and filled.any() else mask.copy()


@dataclass(frozen=True)
class Cleaning:
    """Post-processing of a raw mask, step by step; each step can be switched off.

    Attributes:
        neighbours: A foreground pixel is kept with more than this many of its 8 neighbours; None for all pixels.
        closing: Side in pixels of the square that closes gaps; None for no closing.
        smallest: Smallest blob that is kept, as a share of the frame's area; None for all blobs.
        holes: Largest hole that is filled, as a share of the frame's area; None for no filling.

    Raises:
        ConfigError: If a value is out of its range.
    """

    kind: ClassVar[str] = "cleaning"

    neighbours: int | None = 3
    closing: int | None = 19
    smallest: float | None = 0.01
    holes: float | None = None

    def __post_init__(self) -> None:
        _expect("neighbours", self.neighbours, "0 to 7", lambda value: 0 <= value <= 7)
        _expect("closing", self.closing, "an odd number of pixels", lambda value: value >= 1 and value % 2 == 1)
        _expect("smallest", self.smallest, "a share from 0 to 1", lambda value: 0 <= value <= 1)
        _expect("holes", self.holes, "a share from 0 to 1", lambda value: 0 <= value <= 1)

    def __call__(self, mask: Mask) -> Mask:
        """The mask (H, W) after all steps."""
        if self.neighbours is not None:
            mask = remove_isolated(mask, self.neighbours)
        if self.closing is not None:
            mask = close(mask, self.closing)
        if self.smallest is not None:
            mask = remove_small(mask, self.smallest)
        if self.holes is not None:
            mask = fill_holes(mask, self.holes)
        return mask


def _expect(key: str, value: float | None, expected: str, fits: Callable[[float], bool]) -> None:
    if value is not None and not fits(value):
        hint = "correct it, or say null to leave the step out"
        raise ConfigError(f"cleaning.{key}", found=str(value), expected=expected, hint=hint)
