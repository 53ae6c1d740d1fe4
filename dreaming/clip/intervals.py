"""The intervals of frames between hand-masked frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class FrameInterval:
    """Neighbouring frames with a hand mask before them, after them, or both.

    Attributes:
        left: The hand-masked frame before the first; None at the clip's start.
        stems: All frames of the interval, in order.
        right: The hand-masked frame after the last; None at the clip's end.
    """

    left: str | None
    stems: tuple[str, ...]
    right: str | None


def intervals_between(stems: Sequence[str], references: Sequence[str]) -> list[FrameInterval]:
    """Return the intervals between hand-masked frames, which are named in order."""
    marked = [index for index, stem in enumerate(stems) if stem in set(references)]
    bounds = [None, *marked, None]
    intervals = []
    for left, right in pairwise(bounds):
        inside = stems[0 if left is None else left + 1 : right]
        if inside:
            intervals.append(
                FrameInterval(
                    None if left is None else stems[left], tuple(inside), None if right is None else stems[right]
                )
            )
    return intervals
