"""When each frame of an encoded video is shown, in integer ticks."""

import logging
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from dreaming.constraints import Range
from dreaming.errors import VideoError

log = logging.getLogger(__name__)

FrameRate = Annotated[float, Range(ge=0.001, le=1000)]
"""Frames per second. A lower rate would round to 0, because denominators are limited to 1001."""

_MAX_TIME_SCALE = 2**31 - 1  # an mp4 time scale has 32 bits, of which players use 31


class Timeline:
    """When each frame is shown, in integer ticks; at a constant rate, a tick is one frame."""

    def __init__(
        self,
        path: Path,
        times: Sequence[Fraction] | None,
        fps: Fraction | float | None,
        begin: Fraction,
        duration: Fraction | None,
    ) -> None:
        self._path, self._is_constant = path, fps is not None
        self._count = None if times is None else len(times)
        span = times[-1] - times[0] if times else Fraction(0)
        step = span / (len(times) - 1) if times and span else Fraction(1, 25)
        self.rate = (1 / step if fps is None else Fraction(fps)).limit_denominator(1001)
        self.tick = 1 / self.rate
        self._edges: list[int] | None = None
        """Tick at which each frame appears, and the one at which the last ends."""
        if times is None:
            return
        seconds = [time - begin for time in times] + [times[-1] + (duration or step) - begin] if times else []
        if fps is None:
            scale = math.lcm(*(second.denominator for second in seconds))
            if scale > _MAX_TIME_SCALE:
                log.warning(
                    "%s: frame times are rounded to microseconds, because an mp4 cannot store them exactly", path
                )
                scale = 1_000_000
            self.tick = Fraction(1, scale)
        self._edges = [math.floor(second / self.tick + Fraction(1, 2)) for second in seconds]
        if self._is_constant and self._edges:
            self._edges[0] = 0
            self._edges[-1] = max(self._edges[-1], 1)

    @property
    def movie_scale(self) -> int:
        """Ticks per second of edit lists: a multiple of the frames' time scale, at least 1000."""
        return self.tick.denominator * -(-1000 // self.tick.denominator)

    def __call__(self, index: int) -> list[tuple[int, int]]:
        """Time and duration of each showing of a frame, counted from 0, in ticks."""
        if self._edges is None:
            return [(index, 1)]
        if index >= len(self._edges) - 1:
            raise self._mismatch(f"more than {self._count} frames")
        first, following = self._edges[index : index + 2]
        if self._is_constant:
            return [(tick, 1) for tick in range(first, following)]
        return [(first, following - first)]

    def check(self, count: int) -> None:
        """Refuse a number of frames that differs from the number of times."""
        if self._count is not None and count != self._count:
            raise self._mismatch(f"{count} frames")

    def _mismatch(self, found: str) -> VideoError:
        return VideoError(self._path, found=found, expected=f"one for each of {self._count} times")
