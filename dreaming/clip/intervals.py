"""Runs: the stretches of frames into which hand-masked ones cut a clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class FrameInterval:
    """Neighbouring frames with a hand mask before them, behind them, or both.

    Attributes:
        left: The hand-masked frame before the first; None at the clip's start.
        stems: All frames of the run, in order.
        right: The hand-masked frame behind the last; None at the clip's end.
    """

    left: str | None
    stems: tuple[str, ...]
    right: str | None


def intervals_between(stems: Sequence[str], references: Sequence[str]) -> list[FrameInterval]:
    """The runs into which hand-masked frames, in order, cut a clip's frames."""
    marked = [place for place, stem in enumerate(stems) if stem in set(references)]
    bounds = [None, *marked, None]
    runs = []
    for left, right in pairwise(bounds):
        inside = stems[0 if left is None else left + 1 : right]
        if inside:
            runs.append(
                FrameInterval(
                    None if left is None else stems[left], tuple(inside), None if right is None else stems[right]
                )
            )
    return runs
