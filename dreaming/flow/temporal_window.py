"""A sliding temporal window over a clip: each frame with its neighbours and the optical flow between them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from dreaming.clip.shots import Shots
from dreaming.flow.cache import FlowCache
from dreaming.flow.warp import chain, resize_flow
from dreaming.io.types import Flow, Size

Picture = TypeVar("Picture")
ReadPictures = Callable[[list[str]], Iterable[tuple[str, Picture]]]
"""Yields the named pictures in order, one by one."""


@dataclass(frozen=True, eq=False)
class Neighbour(Generic[Picture]):
    """A frame near the centre of a temporal window.

    Attributes:
        picture: What was read for it, such as an image (H, W, C).
        flow: (h, w, 2) in working pixels, to this frame from the one next to it on the side of the centre; None if no
            flow was requested.
    """

    stem: str
    picture: Picture
    flow: Flow | None


@dataclass(frozen=True, eq=False)
class TemporalWindow(Generic[Picture]):
    """A frame with its neighbours before and after it, each side nearest first, with fewer at the ends of a shot."""

    stem: str
    picture: Picture
    sides: tuple[Sequence[Neighbour[Picture]], Sequence[Neighbour[Picture]]]


def iter_windows(
    shots: Shots, wanted: Sequence[str], radius: int, read: ReadPictures[Picture], flows: FlowCache | None
) -> Iterator[TemporalWindow[Picture]]:
    """Yield the temporal window around each wanted frame, in order; read each picture and each flow once.

    A window ends at a cut. Without ``flows`` the neighbours have none.
    """
    names, indices = shots.stems, {name: index for index, name in enumerate(shots.stems)}
    centres = [indices[stem] for stem in wanted]
    assert centres == sorted(centres), "the window slides forward"
    windows = [shots.around(stem, radius) for stem in wanted]
    pictures = iter(read([names[index] for index in sorted(set().union(*windows))]))
    held: dict[int, Picture] = {}
    motion: dict[int, tuple[Flow, Flow]] = {}
    for centre, window in zip(centres, windows, strict=True):
        held = {index: held[index] for index in window if index in held}
        while window[-1] not in held:
            stem, picture = next(pictures)
            held[indices[stem]] = picture
        if flows is not None:
            motion = {k: motion.get(k) or flows.both_ways(names[k], names[k + 1]) for k in window[:-1]}
        near = range(centre - 1, window[0] - 1, -1), range(centre + 1, window[-1] + 1)
        before = [Neighbour(names[k], held[k], motion[k][1] if motion else None) for k in near[0]]
        after = [Neighbour(names[k], held[k], motion[k - 1][0] if motion else None) for k in near[1]]
        yield TemporalWindow(names[centre], held[centre], (before, after))


def dilate(shots: Shots, wanted: Iterable[str], radius: int) -> list[str]:
    """List the frames that are at most ``radius`` frames from a wanted one of the same shot, in order."""
    near = set[int]().union(*(shots.around(stem, radius) for stem in wanted if stem in shots))
    return [shots.stems[index] for index in sorted(near)]


def dilated_pairs(shots: Shots, wanted: Iterable[str], radius: int) -> list[str]:
    """List the pairs of neighbouring frames whose flow ``iter_windows`` reads, by their earlier frames, in order."""
    firsts = set[int]().union(*(shots.around(stem, radius)[:-1] for stem in wanted if stem in shots))
    return [shots.stems[index] for index in sorted(firsts)]


def accumulate_flows(side: Iterable[Neighbour[Picture]], size: Size) -> Iterator[Flow]:
    """Yield the flow from the centre frame to each neighbour on one side, (H, W, 2) in pixels of ``size``.

    Flows are chained at their working size, so a distant neighbour is sampled once, as sharply as a near one.
    """
    chained: Flow | None = None
    for neighbour in side:
        assert neighbour.flow is not None
        chained = neighbour.flow if chained is None else chain(chained, neighbour.flow)
        yield resize_flow(chained, size)
