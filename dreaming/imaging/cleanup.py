"""Clean-up of soft masks and mattes, by steps in an order that the user chooses."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.errors import ParameterError
from dreaming.imaging.morphology import feather, fill_holes, remove_small
from dreaming.io.types import Mask, Probability

_EDGE = 16
"""Width of the widest soft edge around a hole or an island, in pixels."""

_NOTHING = 1 / 512
"""Level below which a pixel of a mask with 8 bits is 0."""

_SPACING = 0.7
"""Distance between samples on the circle by which a mask grows, in pixels."""


def grow(mask: Probability, radius: float) -> Probability:
    """Grow a mask (H, W) in 0..1 by ``radius`` pixels in all directions, also fractions of a pixel; negative: shrink.

    Each level of a soft edge moves by the radius, so that the edge stays as soft as it is: this is the grey dilation by
    a disc, of which points on its circle are sampled by bilinear interpolation. Borders of the frame are replicated. A
    shape, or a hole, that is narrower than the radius vanishes with its soft edge.
    """
    if radius == 0 or not mask.any():
        return mask
    margin = math.ceil(abs(radius)) + 1
    padded = cv2.copyMakeBorder(mask, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    (top, bottom), (left, right) = (np.flatnonzero(padded.any(axis=axis))[[0, -1]] for axis in (1, 0))
    window = np.s_[max(top - margin, 0) : bottom + margin + 1, max(left - margin, 0) : right + margin + 1]
    result = np.zeros_like(padded)
    result[window] = 1 - _erode(1 - padded[window], radius) if radius > 0 else _erode(padded[window], -radius)
    return np.ascontiguousarray(result[margin:-margin, margin:-margin])


def _erode(mask: Probability, radius: float) -> Probability:
    eroded = 1 - _dilate(1 - mask, radius)
    count, labels = cv2.connectedComponents((eroded > _NOTHING).astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    before, after = (np.bincount(labels[levels > 0.5], minlength=count) > 0 for levels in (mask, eroded))
    vanished = before & ~after
    if vanished.any():
        # The lower levels of a soft shape reach further out, and would stay as a grey spot. Less than a pixel of a
        # shape's width may be left, which is grey as well.
        narrow = 1 - _dilate(1 - mask, max(radius - 0.5, 0))
        vanished &= np.bincount(labels[narrow > 0.5], minlength=count) == 0
        eroded[vanished[labels]] = 0
    return eroded


def _dilate(mask: Probability, radius: float) -> Probability:
    reach = math.floor(radius)
    offsets = np.arange(-reach, reach + 1)
    disc = (np.hypot(offsets[:, None], offsets) <= radius).astype(np.uint8)
    grown = cv2.dilate(mask, disc, borderType=cv2.BORDER_REPLICATE)
    for angle in np.linspace(0, 2 * np.pi, max(16, math.ceil(2 * np.pi * radius / _SPACING)), endpoint=False):
        shift = np.array([[1, 0, radius * np.cos(angle)], [0, 1, radius * np.sin(angle)]])
        moved = cv2.warpAffine(mask, shift, mask.shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        np.maximum(grown, moved, out=grown)
    return grown


def fill_soft_holes(mask: Probability, fraction: float) -> Probability:
    """Fill holes of a mask (H, W) in 0..1, with their soft edges, up to ``fraction`` of the frame's area."""
    binary = mask > 0.5
    return _raise(mask, fill_holes(binary, fraction) & ~binary, cv2.MORPH_CROSS)


def remove_soft_islands(mask: Probability, fraction: float) -> Probability:
    """Remove components of a mask (H, W) in 0..1, with their soft edges, of less than ``fraction`` of the frame."""
    binary = mask > 0.5
    return 1 - _raise(1 - mask, binary & ~remove_small(binary, fraction), cv2.MORPH_RECT)


def _raise(mask: Probability, basins: Mask, shape: int) -> Probability:
    """Raise basins below the level 0.5 to the lowest level of the path that leads out of them.

    Greyscale reconstruction by erosion (Vincent 1993), from all pixels below 0.5 that are in no basin and those more
    than ``_EDGE`` pixels away from one; it leaves no step at the border of what is raised.
    """
    if not basins.any():
        return mask
    near = cv2.dilate(basins.view(np.uint8), np.ones((2 * _EDGE + 1, 2 * _EDGE + 1), np.uint8))
    left, top, columns, rows = cv2.boundingRect(near)
    window = np.s_[top : top + rows, left : left + columns]
    before, basin = np.ascontiguousarray(mask[window]), basins[window]
    source = (near[window] == 0) | ((before < 0.5) & ~basin)
    level, last = np.where(source, before, np.float32(1)), None
    kernel = cv2.getStructuringElement(shape, (3, 3))
    while last is None or not np.array_equal(level, last):
        last = level
        for _ in range(8):  # between comparisons
            level = cv2.max(cv2.erode(level, kernel), before)
    labels = cv2.connectedComponents((level > before).view(np.uint8), connectivity=8, ltype=cv2.CV_32S)[1]
    wanted = np.zeros(labels.max() + 1, np.bool_)
    wanted[labels[basin]] = True
    wanted[0] = False
    result = mask.copy()
    result[window] = np.where(wanted[labels], level, before)
    return result


def smooth_outline(mask: Probability, sigma: float) -> Probability:
    """Smooth the outline of a mask (H, W) in 0..1 by a Gaussian of ``sigma`` pixels; its edge becomes a pixel wide."""
    slope = max(1.0, sigma * math.sqrt(2 * math.pi))  # of a straight edge that was blurred
    return np.clip((feather(mask, sigma) - 0.5) * slope + 0.5, 0, 1).astype(np.float32)


def feather_inwards(mask: Probability, width: float) -> Probability:
    """Soften a mask (H, W) in 0..1 within ``width`` pixels inside its outline, at which it becomes 0."""
    if width == 0:
        return mask
    return np.minimum(mask, _smooth_step(_depth(mask > 0.5) / width))


def feather_outwards(mask: Probability, width: float) -> Probability:
    """Soften a mask (H, W) in 0..1 within ``width`` pixels outside its outline, where it stays opaque inside."""
    if width == 0:
        return mask
    return np.maximum(mask, 1 - _smooth_step(_depth(mask <= 0.5) / width))


def clamp(mask: Probability, low: float, high: float) -> Probability:
    """Stretch the values of a mask (H, W): ``low`` and less become 0, ``high`` and more become 1."""
    return np.clip((mask - np.float32(low)) / np.float32(high - low), 0, 1).astype(np.float32)


def _depth(mask: Mask) -> NDArray[np.float32]:
    """Distance of a mask's pixels to its outline, half a pixel before the next pixel outside; 0 outside."""
    if mask.all():  # there is no outline
        return np.full(mask.shape, np.inf, np.float32)
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.maximum(distance - np.float32(0.5), 0)


def _smooth_step(values: NDArray[np.float32]) -> NDArray[np.float32]:
    clipped = np.clip(values, 0, 1)
    return (clipped * clipped * (3 - 2 * clipped)).astype(np.float32)


@dataclass(frozen=True)
class _Step:
    """A step: its function, and the ranges of its values."""

    run: Callable[..., Probability]
    ranges: tuple[tuple[float, float], ...]
    unit: str


_PIXELS, _SHARE = ((0.0, 200.0),), ((0.0, 1.0),)

STEPS: Mapping[str, _Step] = {
    "grow": _Step(grow, _PIXELS, "pixels"),
    "shrink": _Step(lambda mask, radius: grow(mask, -radius), _PIXELS, "pixels"),
    "fill_holes": _Step(fill_soft_holes, _SHARE, "as a share of the frame's area"),
    "remove_small": _Step(remove_soft_islands, _SHARE, "as a share of the frame's area"),
    "smooth": _Step(smooth_outline, _PIXELS, "pixels"),
    "feather": _Step(feather, _PIXELS, "pixels"),
    "feather_in": _Step(feather_inwards, _PIXELS, "pixels"),
    "feather_out": _Step(feather_outwards, _PIXELS, "pixels"),
    "clamp": _Step(clamp, ((0.0, 1.0), (0.0, 1.0)), "low < high"),
}
"""All steps by name."""


@dataclass(frozen=True)
class Cleanup:
    """Steps that change a soft mask, one after the other.

    Attributes:
        steps: Name and values of each step.
    """

    kind: ClassVar[str] = "cleanup"
    version: ClassVar[int] = 2

    steps: tuple[tuple[str, tuple[float, ...]], ...] = ()

    @classmethod
    def parse(cls, parameter: str, steps: Sequence[Mapping[str, Any]]) -> Self:
        """Check steps from a config, each a mapping of one name to a value, such as ``{grow: 1.5}``.

        Raises:
            ParameterError: If a step does not exist, or a value is out of range; it is named after ``parameter``.
        """
        parsed = []
        for index, step in enumerate(steps):
            where = f"{parameter}[{index}]"
            if not isinstance(step, Mapping) or len(step) != 1:
                raise ParameterError(where, found=step, expected="one step such as {grow: 1.5}")
            ((name, value),) = step.items()
            if name not in STEPS:
                raise ParameterError(where, found=name, expected="one of " + ", ".join(STEPS))
            values = tuple(value) if isinstance(value, list | tuple) else (value,)
            ranges = STEPS[name].ranges
            fits = len(values) == len(ranges) and all(
                isinstance(number, int | float) and not isinstance(number, bool) and low <= number <= high
                for number, (low, high) in zip(values, ranges, strict=True)
            )
            if not fits or (len(values) == 2 and values[0] >= values[1]):
                bounds = ", ".join(f"{low:g} to {high:g}" for low, high in ranges)
                raise ParameterError(f"{where}.{name}", found=value, expected=f"{bounds} ({STEPS[name].unit})")
            parsed.append((str(name), tuple(float(number) for number in values)))
        return cls(tuple(parsed))

    def __call__(self, mask: Probability) -> Probability:
        """Apply all steps to a mask (H, W) in 0..1."""
        for name, values in self.steps:
            mask = STEPS[name].run(mask, *values)
        return mask
