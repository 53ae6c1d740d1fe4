"""Detection of cuts between neighbouring frames, by block matching and colour, on small images."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.io.types import Image

VERSION = 1
"""Raised when the same frames give other cuts."""

PIXELS = 6480
"""Area to which frames are reduced, 108 x 60 at 16:9."""
BLOCK, REACH = 12, 10
"""Side of a block and how far it is searched for, in pixels of a reduced frame."""
MAX_CONTRAST = 20.0
"""Standard deviation, in grey levels, above which a block's contrast does not add to its weight."""
NOISE = 2.0
"""Standard deviation of what noise and rounding add to a block."""
BINS, OFFSET = 16, 8.0
"""Bins per axis of the chromaticity histogram, and what is added to RGB so that the colour of black counts little."""

COLOUR_DISTANCES, MAX_FAILURES = (0.03, 0.06, 0.3, 0.6), (0.4, 0.3, 0.28, 0.2)
"""Largest matching failure between neighbours, by the distance of their colours, linear between these points."""
MIN_PEAK = 2.0
"""Failure at a cut relative to the median of its surroundings: where all frames differ, or there are two, none is."""
AROUND = 5
"""Pairs on each side to which a failure is compared."""
MIN_CONTRAST = 3.0
"""Standard deviation of grey levels below which a frame is blank, and so tells nothing about cuts."""


@dataclass(frozen=True, eq=False)
class ReducedFrame:
    """What cuts are found by: a small grey image (h, w) and a chromaticity histogram that sums to 1."""

    grey: NDArray[np.uint8]
    colours: NDArray[np.float32]

    @classmethod
    def of(cls, image: Image) -> Self:
        """Reduce a frame (H, W, 3)."""
        height, width = image.shape[:2]
        scale = min(1.0, (PIXELS / (height * width)) ** 0.5)
        size = max(BLOCK, round(width * scale)), max(BLOCK, round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        shifted = small.astype(np.float32) + np.float32(OFFSET)
        chroma = shifted / shifted.sum(axis=2, keepdims=True)
        counts = cv2.calcHist([chroma], [0, 1], None, [BINS, BINS], [0.1, 0.6, 0.1, 0.6])
        counts = cv2.GaussianBlur(counts, (0, 0), 0.5)
        return cls(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), counts / np.float32(max(counts.sum(), 1e-6)))

    def failure(self, other: Self) -> float:
        """Return which share of the contrast, 0 to 1, is found nowhere near in another frame.

        A block's similarity is its largest normalised correlation, which exposure does not change.
        """
        grey = self.grey.astype(np.float32)
        border = np.pad(other.grey.astype(np.float32), REACH, mode="edge")
        lost, total = 0.0, 0.0
        for y in range(0, grey.shape[0] - BLOCK + 1, BLOCK):
            for x in range(0, grey.shape[1] - BLOCK + 1, BLOCK):
                block = grey[y : y + BLOCK, x : x + BLOCK]
                near = border[y : y + BLOCK + 2 * REACH, x : x + BLOCK + 2 * REACH]
                weight = min(float(block.std()), float(near.std()), MAX_CONTRAST)
                total += weight + NOISE
                if weight > NOISE / 4:
                    similarity = float(cv2.matchTemplate(near, block, cv2.TM_CCOEFF_NORMED).max())
                    lost += weight * (1 - min(max(similarity, 0.0), 1.0))
        return lost / total

    def colour_distance(self, other: Self) -> float:
        """Squared Hellinger distance of the colour histograms, 0 to 1; moderate changes of exposure do not matter."""
        return 1 - float(np.sqrt(self.colours * other.colours).sum())

    def differs(self, other: Self) -> bool:
        """Whether both can only be neighbours at a cut."""
        allowed = np.interp(self.colour_distance(other), COLOUR_DISTANCES, MAX_FAILURES)
        return self.failure(other) > float(allowed)


def find_cuts(frames: Iterable[ReducedFrame]) -> list[int]:
    """Return the indices of the first frames after cuts.

    At a cut, a frame's blocks are found neither in the next frame nor in the one after it: a flash of one frame is no
    cut. Blank frames belong to the shot before them. On five DAVIS sequences (854 x 480), failures are at most 0.14
    between neighbours, and at least 0.33 between sequences. Few frames are in memory at once.
    """
    visible: list[int] = []
    failures: list[float] = []
    candidates: list[int] = []

    def seen() -> Iterator[ReducedFrame]:
        for index, frame in enumerate(frames):
            if frame.grey.std() > MIN_CONTRAST:
                visible.append(index)
                yield frame

    for before, one, other, after in _neighbours(seen()):
        assert one is not None
        assert other is not None
        failures.append(one.failure(other))
        if failures[-1] > MAX_FAILURES[-1]:
            across = ((one, other), (before, other), (one, after))
            if all(a.differs(b) for a, b in across if a is not None and b is not None):
                candidates.append(len(failures) - 1)
    return [visible[index + 1] for index in candidates if _is_peak(failures, index)]


def _neighbours(frames: Iterable[ReducedFrame]) -> Iterator[tuple[ReducedFrame | None, ...]]:
    """Yield each two neighbours, with the frame before and the frame after them; None at the ends."""
    padded = chain([None], frames, [None])
    held = deque(islice(padded, 3), maxlen=4)
    for frame in padded:
        held.append(frame)
        yield tuple(held)


def _is_peak(failures: Sequence[float], index: int) -> bool:
    around = [*failures[max(index - AROUND, 0) : index], *failures[index + 1 : index + 1 + AROUND]]
    return bool(around) and failures[index] > MIN_PEAK * float(np.median(around))
