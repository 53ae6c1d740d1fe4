"""The intervals of frames between hand-masked frames, or between keyframes."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from dreaming.clip.shots import Shots


@dataclass(frozen=True)
class FrameInterval:
    """Neighbouring frames with a reference, such as a hand-masked frame, before them, after them, or both.

    Attributes:
        left: The reference before the first frame; None at a shot's start.
        stems: All frames of the interval, in order.
        right: The reference after the last frame; None at a shot's end.
    """

    left: str | None
    stems: tuple[str, ...]
    right: str | None


def intervals_between(shots: Shots, references: Collection[str]) -> list[FrameInterval]:
    """Return the intervals between some of a clip's frames, within its shots."""
    known, intervals = set(references), []
    for stems in shots:
        marked = [index for index, stem in enumerate(stems) if stem in known]
        for left, right in pairwise([None, *marked, None]):
            inside = tuple(stems[0 if left is None else left + 1 : right])
            if inside:
                before, after = (None if index is None else stems[index] for index in (left, right))
                intervals.append(FrameInterval(before, inside, after))
    return intervals


def group_by_interval(
    shots: Shots, references: Collection[str], wanted: Iterable[str]
) -> list[tuple[FrameInterval | None, list[str]]]:
    """Group wanted frames, given in any order, that follow each other in one interval; a reference is a group alone.

    Args:
        shots: All frames of the clip.
        references: The frames between the intervals.
        wanted: The frames to group.

    Returns:
        Groups of frames in the clip's order, each with its interval; None for a reference.
    """
    indices = {stem: index for index, stem in enumerate(shots.stems)}
    interval_of = {stem: each for each in intervals_between(shots, references) for stem in each.stems}
    groups: list[tuple[FrameInterval | None, list[str]]] = []
    for stem in wanted:
        interval = interval_of.get(stem)
        last, members = groups[-1] if groups else (None, [])
        if interval is not None and last is interval and indices[members[-1]] < indices[stem]:
            members.append(stem)
        else:
            groups.append((interval, [stem]))
    return groups
