"""A window that slides over a clip: each frame with the frames around it, and the flow that leads to them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from dreaming.errors import ConfigError
from dreaming.flow.cache import FlowCache
from dreaming.flow.warp import chain, resize_flow
from dreaming.io.types import Flow, Size

Picture = TypeVar("Picture", bound=NDArray[Any])
Read = Callable[[list[str]], Iterable[tuple[str, Picture]]]
"""Gives the pictures of named frames, in order, one by one."""


@dataclass(frozen=True, eq=False)
class Neighbour(Generic[Picture]):
    """A frame near another one.

    Attributes:
        picture: (H, W) or (H, W, C).
        flow: (h, w, 2) in pixels of the working size, from the next frame on the way to the other one to this; None
            where no flow was asked for.
    """

    picture: Picture
    flow: Flow | None


@dataclass(frozen=True, eq=False)
class TemporalWindow(Generic[Picture]):
    """A frame with those around it.

    Attributes:
        stem: The frame's name.
        picture: The frame, (H, W) or (H, W, C).
        sides: Those before it and those behind it, each nearest first, fewer at the clip's ends.
    """

    stem: str
    picture: Picture
    sides: tuple[Sequence[Neighbour[Picture]], Sequence[Neighbour[Picture]]]


def iter_windows(
    names: Sequence[str], wanted: Sequence[str], radius: int, read: Read[Picture], flows: FlowCache | None
) -> Iterator[TemporalWindow[Picture]]:
    """Yield wanted frames with all frames up to ``radius`` places away; each picture and flow is read once.

    Args:
        names: All frames of the clip, in order.
        wanted: Those to yield, in order.
        radius: How far the window reaches, in frames.
        read: Reads the frames needed.
        flows: The clip's flow; None: the surroundings have none.
    """
    places = {name: place for place, name in enumerate(names)}
    centres = [places[stem] for stem in wanted]
    assert centres == sorted(centres), "the window slides one way"
    windows = [range(max(0, centre - radius), min(len(names), centre + radius + 1)) for centre in centres]
    pictures = iter(read([names[place] for place in sorted(set().union(*windows))]))
    held: dict[int, Picture] = {}
    motion: dict[int, tuple[Flow, Flow]] = {}
    for centre, window in zip(centres, windows, strict=True):
        held = {place: held[place] for place in window if place in held}
        while window[-1] not in held:
            stem, picture = next(pictures)
            held[places[stem]] = picture
        if flows is not None:
            motion = {
                place: motion.get(place) or flows.both_ways(names[place], names[place + 1]) for place in window[:-1]
            }
        before = [Neighbour(held[p], motion[p][1] if motion else None) for p in range(centre - 1, window[0] - 1, -1)]
        behind = [Neighbour(held[p], motion[p - 1][0] if motion else None) for p in range(centre + 1, window[-1] + 1)]
        yield TemporalWindow(names[centre], held[centre], (before, behind))


def dilate(names: Sequence[str], wanted: Iterable[str], radius: int) -> list[str]:
    """All frames of a clip at most ``radius`` places from a wanted one, in order.

    Args:
        names: All frames, in order.
        wanted: Those around which.
        radius: How far, in frames.
    """
    chosen = set(wanted)
    places = [place for place, name in enumerate(names) if name in chosen]
    near = set[int]().union(*(range(place - radius, place + radius + 1) for place in places))
    return [name for place, name in enumerate(names) if place in near]


def dilated_pairs(names: Sequence[str], wanted: Iterable[str], radius: int) -> list[str]:
    """Names of all pairs of neighbours, those of their earlier frames, whose flow ``sliding`` reads, in order.

    Args:
        names: All frames of the clip, in order.
        wanted: Those that it yields.
        radius: How far the window reaches, in frames.
    """
    chosen = set(wanted)
    places = [place for place, name in enumerate(names) if name in chosen]
    first = set[int]().union(*(range(max(0, place - radius), place + radius) for place in places))
    return [name for place, name in enumerate(names[:-1]) if place in first]


def followed(side: Iterable[Neighbour[Picture]], size: Size) -> Iterator[Flow]:
    """Where the pixels of a frame lie in one frame after another on one side of it, (H, W, 2) in pixels of ``size``.

    Flows are chained at their working size, and pixels sampled once, so that what is far away is as sharp as what is
    near.
    """
    chained: Flow | None = None
    for neighbour in side:
        assert neighbour.flow is not None
        chained = neighbour.flow if chained is None else chain(chained, neighbour.flow)
        yield resize_flow(chained, size)


def check_window(where: str, radius: int, **sigmas: float) -> None:
    """Refuse a window over time that is none.

    Args:
        where: Config key of what looks through the window.
        radius: How far it reaches, in frames.
        **sigmas: Of its Gaussians, by the names of their keys.

    Raises:
        ConfigError: If the radius is below 1 frame or a sigma is not above 0.
    """
    if radius < 1:
        raise ConfigError(f"{where}.radius", found=str(radius), expected="1 frame or more", hint="correct it")
    for name, sigma in sigmas.items():
        if not 0 < sigma < math.inf:
            raise ConfigError(f"{where}.{name}", found=str(sigma), expected="above 0", hint="correct it")
