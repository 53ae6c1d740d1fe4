"""Stylised keyframes carried along the flow, as a guide: where strokes may be copied, and what they look like there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.frames.arrays import Image, Size
from dreaming.frames.carry import Carried, Carrier, Drift
from dreaming.frames.clip import Clip
from dreaming.frames.clip_settings import Layer
from dreaming.frames.flow import DisFlow, resize_image
from dreaming.frames.flow_cache import FlowCache
from dreaming.frames.folder import FrameFolder
from dreaming.frames.guide import Channels, Guide
from dreaming.frames.manifest import NO_EFFECT
from dreaming.frames.spool import Spool

TENTHS = 10
"""Steps of an e-fold in which a side's weight is kept in a byte."""


@dataclass(frozen=True, eq=False)
class Side:
    """A keyframe as it was carried to a frame.

    Attributes:
        picture: (H, W, 3) RGB, the carried painting.
        doubt: (h, w) in tenths, by how many e-folds the photometric error and the flow's contradictions lower its
            weight; at the flow's working size.
        steps: Neighbours passed on the way.
    """

    picture: Image
    doubt: NDArray[np.uint8]
    steps: int


@dataclass(frozen=True)
class Gap:
    """Between two keyframes.

    Attributes:
        left: The nearest keyframe before; None before the first.
        right: The nearest keyframe behind; None behind the last.
    """

    left: str | None
    right: str | None


@dataclass(frozen=True)
class CarriedGuide(Guide):
    """The nearest stylised keyframes on both sides of a frame, carried along the flow.

    Six channels: the carried painting's RGB, taken at each pixel from the side with the greater weight
    w = visible exp(-error / scale) / steps; trust, 255 w steps of that side; nearness in time, 255 halved every
    ``half_time`` steps; and agreement, 255 where both sides show the same, 0 where there is one side only.

    Training never sees a keyframe carried to itself by no way. It sees the other keyframes carried to it, and itself
    carried away and back, where the flow's errors and what is hidden on the way show as they will elsewhere.

    Attributes:
        flow: How flow is computed.
        error_scale: Photometric error (sum of Lab differences, 0..255 each) that lowers a side's weight to 1/e.
        error_sigma: Blur of that error, in the flow's working pixels.
        drift: How carrying over many frames is corrected; None: not.
        hidden: Share of its weight that a side keeps where the forward-backward check found it hidden.
        hardness: How abruptly one side gives way to the other: the power to which weights are raised.
        half_time: Steps after which nearness has halved.
        journeys: How often each keyframe is carried away and back for training.
        farthest: Most steps away on these journeys.
        workers: Pairs of frames whose flow is computed at once.
    """

    layout: ClassVar[tuple[str, ...]] = ("red", "green", "blue", "trust", "nearness", "agreement")

    flow: DisFlow
    error_scale: float = 5.0
    error_sigma: float = 2.0
    drift: Drift | None = field(default_factory=Drift)
    hidden: float = 0.1
    hardness: float = 4.0
    half_time: float = 10.0
    journeys: int = 2
    farthest: int = 20
    workers: int = field(default=2, kw_only=True, metadata=NO_EFFECT)

    @property
    def channels(self) -> int:
        """Six."""
        return len(self.layout)

    @property
    def painted(self) -> int | None:
        """The first three are a painting."""
        return 0

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's guide, in order; frames asked in the clip's order cost least."""
        carrying = self._carrying(clip, layer)
        for gap, wanted in carrying.grouped(stems):
            if gap is None:
                yield from ((stem, self._joined([carrying.keyframe(stem)], clip.size)) for stem in wanted)
            else:
                yield from self._within(carrying, gap, wanted)

    def _within(self, carrying: "_Carrying", gap: Gap, wanted: Sequence[str]) -> Iterator[tuple[str, Channels]]:
        """Frames of one gap between keyframes, in the clip's order."""
        clip = carrying.clip
        with Spool(clip.path) as spool:
            if gap.right is not None:
                # What comes from behind arrives last frame first: it waits in the spool.
                for stem, side in carrying.carried(gap.right, wanted[0], wanted):
                    spool.write(stem, [side.picture, side.doubt, np.array([side.steps], np.uint32).view(np.uint8)])

            def behind(stem: str) -> list[Side]:
                """The side from behind, if there is one."""
                if gap.right is None:
                    return []
                picture, doubt, steps = spool.read(stem)
                return [Side(picture, doubt, int(steps.view(np.uint32)[0]))]

            if gap.left is None:
                yield from ((stem, self._joined(behind(stem), clip.size)) for stem in wanted)
            else:
                for stem, side in carrying.carried(gap.left, wanted[-1], wanted):
                    yield stem, self._joined([side, *behind(stem)], clip.size)

    def examples(self, clip: Clip, layer: Layer, stems: Iterable[str], seed: int) -> Iterator[tuple[str, Channels]]:
        """Yield each keyframe as the others show it, and as it comes back from journeys of random length."""
        carrying = self._carrying(clip, layer)
        straight = replace(carrying, carrier=replace(carrying.carrier, drift=None))
        for stem in stems:
            gap = carrying.gap(stem)
            others = [
                side
                for start in (gap.left, gap.right)
                if start is not None
                for _, side in carrying.carried(start, stem, [stem])
            ]
            if others:
                yield stem, self._joined(others, clip.size)
            rng = np.random.default_rng((seed, carrying.places[stem]))
            for journey in range(self.journeys):
                # Refined against itself it would come back unharmed.
                back = straight.returned(stem, self._turn(carrying, stem, rng))
                # Every other time beside a true neighbour, as frames between two keyframes have it.
                sides = [back, *others[:1]] if journey % 2 else [back]
                yield stem, self._joined(sides, clip.size)

    def _turn(self, carrying: "_Carrying", stem: str, rng: np.random.Generator) -> str:
        """Where a journey turns back: nearer places more often, as many to a power of two as to the next."""
        names, place = carrying.clip.stems, carrying.places[stem]
        rooms = {way: min(self.farthest, room) for way, room in ((-1, place), (1, len(names) - 1 - place)) if room}
        way = int(rng.choice(list(rooms)))
        return names[place + way * int(np.exp(rng.uniform(0, np.log(rooms[way] + 1))))]

    def _carrying(self, clip: Clip, layer: Layer) -> "_Carrying":
        flows = FlowCache(clip, self.flow)
        flows.complete(workers=self.workers)
        carrier = Carrier(clip, flows, self.drift, self.error_sigma)
        return _Carrying(clip, clip.keyframe_folder(layer), carrier, self.error_scale, self.hidden)

    def _joined(self, sides: Sequence[Side], size: Size) -> Channels:
        """The six channels of one or two sides, (H, W, 6)."""
        trusts = [np.exp(side.doubt * np.float32(-1 / TENTHS)) for side in sides]  # (h, w) each
        nears = [0.5 ** (side.steps / self.half_time) for side in sides]
        if len(sides) == 1:
            picture, trust = sides[0].picture, trusts[0]
            near, agreement = np.full_like(trust, nears[0]), np.zeros(size, np.uint8)
        else:
            one, other = (t / np.float32(max(s.steps, 1)) for t, s in zip(trusts, sides, strict=True))
            share = 1 / (1 + (other / one) ** np.float32(self.hardness))
            trust = share * trusts[0] + (1 - share) * trusts[1]
            near = share * nears[0] + (1 - share) * nears[1]
            first, second = (side.picture for side in sides)
            full = resize_image(share, size)[..., None]
            picture = np.rint(full * first + (1 - full) * second).astype(np.uint8)
            apart = cv2.absdiff(first, second).mean(axis=2)
            agreement = 255 - np.clip(2 * apart, 0, 255).astype(np.uint8)
        maps = [np.rint(255 * resize_image(values.astype(np.float32), size)).astype(np.uint8) for values in (trust, near)]
        return np.dstack([picture, *maps, agreement])


@dataclass(frozen=True)
class _Carrying:
    """A layer's keyframes on their way through a clip.

    Attributes:
        clip: The clip.
        painted: The stylised keyframes.
        carrier: Carries.
        error_scale: As the guide's.
        hidden: As the guide's.
    """

    clip: Clip
    painted: FrameFolder
    carrier: Carrier
    error_scale: float
    hidden: float

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each frame stands in the clip."""
        return {stem: place for place, stem in enumerate(self.clip.stems)}

    def gap(self, stem: str) -> Gap:
        """The nearest keyframes before and behind a frame, itself left out."""
        here = self.places[stem]
        keys = [key for key in self.painted.stems if key in self.places]
        before = [key for key in keys if self.places[key] < here]
        behind = [key for key in keys if self.places[key] > here]
        return Gap(before[-1] if before else None, behind[0] if behind else None)

    def grouped(self, stems: Iterable[str]) -> Iterator[tuple[Gap | None, list[str]]]:
        """Frames in groups that lie in one gap in the clip's order; keyframes stand alone, without a gap."""
        gap: Gap | None = None
        group: list[str] = []
        for stem in stems:
            here = None if stem in self.painted else self.gap(stem)
            if group and (here is None or here != gap or self.places[group[-1]] >= self.places[stem]):
                yield gap, group
                group = []
            gap = here
            group.append(stem)
        if group:
            yield gap, group

    def keyframe(self, stem: str) -> Side:
        """A keyframe where it was painted."""
        return Side(self._painting(stem), np.zeros(self.carrier.flows.working_size, np.uint8), 0)

    def carried(self, start: str, end: str, wanted: Sequence[str]) -> Iterator[tuple[str, Side]]:
        """Yield the wanted frames on the way from a keyframe to a frame."""
        first, last = self.places[start], self.places[end]
        step = 1 if last > first else -1
        path = [self.clip.stems[place] for place in range(first, last + step, step)]
        picture, asked = self._painting(start), set(wanted)
        for carried in self.carrier.along(path):
            if carried.stem in asked:
                yield carried.stem, self._side(carried, picture)

    def returned(self, stem: str, turn: str) -> Side:
        """A keyframe carried to a frame and back."""
        first, last = self.places[stem], self.places[turn]
        step = 1 if last > first else -1
        there = [self.clip.stems[place] for place in range(first, last + step, step)]
        arrived: Carried | None = None
        for carried in self.carrier.along([*there, *there[-2::-1]]):
            arrived = carried
        assert arrived is not None
        return self._side(arrived, self._painting(stem))

    def _painting(self, stem: str) -> Image:
        return self.painted.read(stem, self.clip.size)

    def _side(self, carried: Carried, picture: Image) -> Side:
        seen = self.hidden + (1 - self.hidden) * carried.visible
        doubt = carried.error / self.error_scale - np.log(seen)
        return Side(
            carried.sample(picture), np.rint(np.clip(doubt * TENTHS, 0, 255)).astype(np.uint8), carried.steps
        )
