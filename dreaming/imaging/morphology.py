"""Morphological operations on masks."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.constraints import PositiveInt, Range, UnitFloat
from dreaming.errors import ParameterError
from dreaming.io.types import Mask, Probability, Size


def feather(mask: Probability, sigma: float) -> Probability:
    """Soften the edge of a mask (H, W) in 0..1 by a Gaussian of ``sigma`` pixels; 0 returns the mask unchanged.

    Values at the frame's border are replicated beyond it.
    """
    if sigma == 0:
        return mask
    blurred = cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.clip(blurred, 0, 1).astype(np.float32)


def window_around(mask: Mask, margin: int) -> tuple[slice, slice]:
    """Slices of the bounding box of a mask's (H, W) foreground, ``margin`` pixels wider on each side."""
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    return np.s_[max(top - margin, 0) : top + height + margin, max(left - margin, 0) : left + width + margin]


def remove_isolated(mask: Mask, neighbours: int = 3) -> Mask:
    """Keep a foreground pixel of a mask (H, W) if more than ``neighbours`` (0 to 7) of its 8 neighbours are foreground.

    At the border, with n < 8 neighbours, more than ``neighbours`` n / 8 must be foreground. Source: "Evaluation of
    Background Subtraction Algorithms with Post-Processing" (Parks and Fels 2008), section 3.1.
    """
    binary = np.ascontiguousarray(mask).view(np.uint8)
    counts = cv2.boxFilter(binary, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    enough = cv2.compare(counts, _min_counts(mask.shape, neighbours), cv2.CMP_GE)
    return cv2.bitwise_and(binary, enough).view(np.bool_)


@lru_cache(maxsize=8)
def _min_counts(size: Size, neighbours: int) -> NDArray[np.uint8]:
    """Minimum number of foreground pixels in the 3x3 window of a kept pixel, including itself, (H, W)."""
    rows, columns = (np.convolve(np.ones(side), np.ones(3))[1:-1] for side in size)
    around = np.outer(rows, columns) - 1
    return (neighbours * around // 8 + 2).astype(np.uint8)


def close(mask: Mask, side: int = 19) -> Mask:
    """Close gaps of a mask (H, W) by a square of an odd ``side`` in pixels; pixels outside the frame are ignored."""
    square = np.ones((side, side), np.uint8)
    return cv2.morphologyEx(np.ascontiguousarray(mask).view(np.uint8), cv2.MORPH_CLOSE, square).view(np.bool_)


def remove_small(mask: Mask, fraction: float = 0.01) -> Mask:
    """Remove 8-connected components of less than ``fraction`` of the frame's area."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=8, ltype=cv2.CV_32S
    )
    if count == 1:
        return mask.copy()
    kept = stats[:, cv2.CC_STAT_AREA] >= fraction * mask.size
    kept[0] = False
    return kept[labels]


def fill_holes(mask: Mask, fraction: float = 1.0) -> Mask:
    """Fill background that the foreground encloses, up to ``fraction`` of the frame's area.

    Background is 4-connected, so a ring of foreground that is closed diagonally encloses it. Background at the frame's
    border is not enclosed.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    height, width = mask.shape
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    enclosed = (left > 0) & (top > 0) & (right < width) & (bottom < height)
    filled = enclosed & (stats[:, cv2.CC_STAT_AREA] <= fraction * mask.size)
    filled[0] = False
    return mask | filled[labels] if count > 1 and filled.any() else mask.copy()


@dataclass(frozen=True)
class Cleaning:
    """Post-processing of a mask in four steps; None switches a step off.

    Attributes:
        neighbours: A foreground pixel is kept if more than this many of its 8 neighbours are foreground.
        closing: Side of the square that closes gaps, in pixels, odd.
        smallest: Area of the smallest component that is kept, as a fraction of the frame's area.
        holes: Area of the largest hole that is filled, as a fraction of the frame's area.

    Raises:
        ParameterError: If ``closing`` is even.
    """

    kind: ClassVar[str] = "cleaning"

    neighbours: Annotated[int, Range(ge=0, le=7)] | None = 3
    closing: PositiveInt | None = 19
    smallest: UnitFloat | None = 0.01
    holes: UnitFloat | None = None

    def __post_init__(self) -> None:
        if self.closing is not None and self.closing % 2 == 0:
            raise ParameterError("closing", found=self.closing, expected="an odd number of pixels, or null")

    def __call__(self, mask: Mask) -> Mask:
        """Apply all steps to a mask (H, W)."""
        if self.neighbours is not None:
            mask = remove_isolated(mask, self.neighbours)
        if self.closing is not None:
            mask = close(mask, self.closing)
        if self.smallest is not None:
            mask = remove_small(mask, self.smallest)
        if self.holes is not None:
            mask = fill_holes(mask, self.holes)
        return mask
