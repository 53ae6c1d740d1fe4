"""Stylised keyframes carried along the flow, as a guide: where strokes may be copied, and what they look like there."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.errors import ConfigError
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.keyframe_propagation import TENTHS, Gap, KeyframePropagator, PropagatedKeyframe
from dreaming.flow.propagation import DriftCorrection, FlowPropagator
from dreaming.guides.base import Channels, Guide
from dreaming.imaging.brush_strokes import detail_correlation, painted_over, without_margin
from dreaming.imaging.resize import resize_image
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.manifest import NO_EFFECT
from dreaming.io.types import Flow, Size

log = logging.getLogger(__name__)

DOUBTFUL = 1.5
"""Doubt, in e-folds, from which on a carried pixel says nothing about its painter's habits."""

KNOTS = 32
"""Working pixels from one knot of the flow that leads journeys astray to the next."""


@dataclass(frozen=True, eq=False)
class _Journey:
    """One journey of a keyframe away and back.

    Attributes:
        turn: The frame where it turns back.
        knots: (h / KNOTS, w / KNOTS, 2), by how much it is led astray, in normal deviates.
    """

    turn: str
    knots: NDArray[np.float32]


@dataclass(frozen=True)
class PropagatedGuide(Guide):
    """The nearest stylised keyframes on both sides of a frame, carried along the flow.

    Six channels: the carried painting's RGB, taken at each pixel from the side with the greater weight
    w = visible exp(-error / scale) / steps; trust, 255 w steps of that side; nearness in time, 255 halved every
    ``half_time`` steps; and agreement, 255 where both sides show the same, 0 where there is one side only.
    Where a keyframe is not painted, the weight of its side is 0.

    Training never sees a keyframe as itself. It sees the other keyframes carried to it, and the keyframe carried away
    and back, and then led astray: what is hidden on the way shows there as it will elsewhere, but errors of the flow
    that add up on the way to another frame take themselves back on the way home. A painter who lays
    strokes anew on each picture makes liars of such journeys: whatever they bring back is in its place. Then, as far as
    the keyframes carried to each other tell, all channels are 0 in every frame.

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
        stray: How far journeys are led astray, in the flow's working pixels a step: a smooth random flow, the cube of a
            normal variable times this, so that most of the picture is near its place and some of it far off.
        travel: How much better than frames carried keyframes have to foretell strokes, as a ratio of correlations, for
            strokes to travel.
        stroke: Sigma of the blur that leaves strokes out, in pixels.
        workers: Pairs of frames whose flow is computed at once.
        name: Of its node in the config, for messages.

    Raises:
        ConfigError: If a value is out of its range.
    """

    kind: ClassVar[str] = "propagated_guide"

    layout: ClassVar[tuple[str, ...]] = ("red", "green", "blue", "trust", "nearness", "agreement")

    flow: DisFlow
    error_scale: float = 5.0
    error_sigma: float = 2.0
    drift: DriftCorrection | None = field(default_factory=lambda: DriftCorrection(gain=0.0, smoothing_iterations=5))
    occlusion_weight: float = 0.1
    hardness: float = 4.0
    half_time: float = 10.0
    journeys: int = 2
    farthest: int = 20
    stray: float = 0.15
    min_transfer_ratio: float = 1.5
    stroke: float = 4.0
    workers: int = field(default=2, kw_only=True, metadata=NO_EFFECT)
    name: str = field(default="carried", kw_only=True, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        for name, fits, expected in (
            ("error_scale", self.error_scale > 0, "above 0"),
            ("error_sigma", self.error_sigma >= 0, "0 pixels or more"),
            ("hidden", 0 < self.occlusion_weight <= 1, "above 0, at most 1"),
            ("hardness", self.hardness > 0, "above 0"),
            ("half_time", self.half_time > 0, "above 0 frames"),
            ("journeys", self.journeys >= 1, "1 or more"),
            ("farthest", self.farthest >= 1, "1 frame or more"),
            ("stray", self.stray >= 0, "0 pixels or more"),
            ("travel", self.min_transfer_ratio >= 0, "0 or more"),
            ("stroke", self.stroke > 0, "above 0 pixels"),
        ):
            if not fits:
                found = str(getattr(self, name))
                raise ConfigError(f"guide.{self.name}.{name}", found=found, expected=expected, hint="correct it")

    @property
    def channels(self) -> int:
        """Six."""
        return len(self.layout)

    @property
    def painting_channel(self) -> int | None:
        """The first three are a painting."""
        return 0

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's guide, in order; frames asked in the clip's order cost least."""
        carrying = self._carrying(clip, layer)
        if not self._strokes_travel(carrying, layer, carrying.others):
            yield from ((stem, self._silence(clip.size)) for stem in stems)
            return
        groups = list(carrying.grouped(stems))
        self._complete(carrying, [way for gap, wanted in groups if gap for way in gap.ways(wanted)])
        for gap, wanted in groups:
            if gap is None:
                yield from ((stem, self._joined([carrying.keyframe(stem)], clip.size)) for stem in wanted)
            else:
                yield from self._within(carrying, gap, wanted)

    def _within(self, carrying: KeyframePropagator, gap: Gap, wanted: Sequence[str]) -> Iterator[tuple[str, Channels]]:
        """Frames of one gap between keyframes, in the clip's order."""
        clip = carrying.clip
        with DiskBuffer(clip.path) as buffer:
            if gap.right is not None:
                # What comes from behind arrives last frame first: it waits in the spool.
                for stem, side in carrying.carried(gap.right, wanted[0], wanted):
                    buffer.write(stem, [side.picture, side.doubt, np.array([side.steps], np.uint32).view(np.uint8)])

            def behind(stem: str) -> list[PropagatedKeyframe]:
                """The side from behind, if there is one."""
                if gap.right is None:
                    return []
                picture, doubt, steps = buffer.read(stem)
                return [PropagatedKeyframe(picture, doubt, int(steps.view(np.uint32)[0]))]

            if gap.left is None:
                yield from ((stem, self._joined(behind(stem), clip.size)) for stem in wanted)
            else:
                for stem, side in carrying.carried(gap.left, wanted[-1], wanted):
                    yield stem, self._joined([side, *behind(stem)], clip.size)

    def training_examples(
        self, clip: Clip, layer: Layer, stems: Iterable[str], seed: int
    ) -> Iterator[tuple[str, Channels]]:
        """Yield each keyframe as the others show it, and as it comes back from journeys of random length."""
        carrying = self._carrying(clip, layer)
        others_of = cache(carrying.others)
        if not self._strokes_travel(carrying, layer, others_of):
            yield from ((stem, self._silence(clip.size)) for stem in stems)
            return
        journeys = {stem: list(self._journeys(carrying, stem, seed)) for stem in stems}
        self._complete(carrying, [(stem, each.turn) for stem, several in journeys.items() for each in several])
        for stem, several in journeys.items():
            others = others_of(stem)
            if others:
                yield stem, self._joined(others, clip.size)
            yield from ((stem, self._joined(sides, clip.size)) for sides in self._made(carrying, stem, several, others))

    def _made(
        self, carrying: KeyframePropagator, stem: str, journeys: Sequence[_Journey], others: list[PropagatedKeyframe]
    ) -> Iterator[list[PropagatedKeyframe]]:
        """A keyframe as it comes back from each of its journeys; in a clip of one frame, which has none, as it is."""
        if not journeys:
            yield [carrying.keyframe(stem)]
        # Refined against itself it would come back unharmed.
        straight = replace(carrying, carrier=replace(carrying.carrier, drift=None))
        for number, journey in enumerate(journeys):
            back = straight.returned(stem, journey.turn, partial(self._astray, carrying, journey))
            # Every other time beside a true neighbour, as frames between two keyframes have it.
            yield [back, *others[:1]] if number % 2 else [back]

    def _journeys(self, carrying: KeyframePropagator, stem: str, seed: int) -> Iterator[_Journey]:
        """Where a keyframe's journeys lead; none in a clip of one frame."""
        rng = np.random.default_rng((seed, carrying.places[stem]))
        height, width = carrying.carrier.flows.working_size
        for _ in range(self.journeys if len(carrying.clip.stems) > 1 else 0):
            turn = self._turn(carrying, stem, rng)
            yield _Journey(turn, rng.standard_normal((height // KNOTS + 2, width // KNOTS + 2, 2)).astype(np.float32))

    def _astray(self, carrying: KeyframePropagator, journey: _Journey, steps: int) -> Flow:
        height, width = carrying.carrier.flows.working_size
        off: Flow = cv2.resize(journey.knots, (width, height), interpolation=cv2.INTER_CUBIC) ** 3
        return self.stray * steps * off

    def _silence(self, size: Size) -> Channels:
        return np.zeros((*size, self.channels), np.uint8)

    def _strokes_travel(
        self, carrying: KeyframePropagator, layer: Layer, others_of: Callable[[str], list[PropagatedKeyframe]]
    ) -> bool:
        """Whether the other keyframes, carried to a keyframe, foretell its strokes better than its frame does.

        Keyframes that see too little of each other to tell, as across a cut, are left out; without any that do, such as
        for a single keyframe, they are believed to.
        """
        carried, plain = list[float](), list[float]()
        self._complete(carrying, zip(carrying.keys, carrying.keys[1:], strict=False))
        keyframes = carrying.clip.keyframes(layer)
        for stem, frame, painted, mask in zip(
            keyframes.stems, keyframes.sources, keyframes.styled, keyframes.masks, strict=True
        ):
            there = without_margin(mask, self.stroke) & painted_over(painted, frame, self.stroke)
            for side in others_of(stem):
                where = there & (resize_image(side.doubt, carrying.clip.size) < DOUBTFUL * TENTHS)
                by_carried, by_frame = (
                    detail_correlation(painted, by, where, self.stroke) for by in (side.picture, frame)
                )
                if by_carried is not None and by_frame is not None:
                    carried.append(by_carried)
                    plain.append(abs(by_frame))
        if not carried:
            log.info(
                "strokes are taken to travel with the picture: no two keyframes show enough of the same to compare"
            )
            return True
        min_transfer_ratio = float(np.mean(carried)) > self.min_transfer_ratio * float(np.mean(plain))
        habit = "travel with the picture" if min_transfer_ratio else "are laid anew, so that keyframes are not carried"
        facts = np.mean(carried), np.mean(plain)
        log.info("strokes %s: carried keyframes foretell them by %.2f, frames by %.2f (correlation)", habit, *facts)
        return min_transfer_ratio

    def _turn(self, carrying: KeyframePropagator, stem: str, rng: np.random.Generator) -> str:
        """Where a journey turns back: nearer places more often, as many to a power of two as to the next."""
        names, place = carrying.clip.stems, carrying.places[stem]
        rooms = {way: min(self.farthest, room) for way, room in ((-1, place), (1, len(names) - 1 - place)) if room}
        way = int(rng.choice(list(rooms)))
        return names[place + way * int(np.exp(rng.uniform(0, np.log(rooms[way] + 1))))]

    def _complete(self, carrying: KeyframePropagator, ways: Iterable[tuple[str, str]]) -> None:
        """See to it that there is flow on these ways from a frame to another."""
        flows = carrying.carrier.flows
        flows.complete(chain.from_iterable(flows.pairs_between(*way) for way in ways), workers=self.workers)

    def _carrying(self, clip: Clip, layer: Layer) -> KeyframePropagator:
        carrier = FlowPropagator(clip, FlowCache(clip, self.flow), self.drift, self.error_sigma)
        return KeyframePropagator(clip, clip.masked_keyframes(layer), carrier, self.error_scale, self.occlusion_weight)

    def _joined(self, sides: Sequence[PropagatedKeyframe], size: Size) -> Channels:
        """The six channels of one or two sides, (H, W, 6)."""
        trusts = [np.exp(side.doubt * np.float32(-1 / TENTHS)) for side in sides]  # (h, w) each
        nears = [0.5 ** (side.steps / self.half_time) for side in sides]
        if len(sides) == 1:
            picture, trust = sides[0].picture, trusts[0]
            near, agreement = np.full_like(trust, nears[0]), np.zeros(size, np.uint8)
        else:
            # A ratio of weights, as a difference of logarithms: it may be beyond what a float32 holds.
            doubts = [side.doubt / np.float32(TENTHS) + np.log(np.float32(max(side.steps, 1))) for side in sides]
            share = 1 / (1 + np.exp(np.clip(self.hardness * (doubts[0] - doubts[1]), -50, 50)))
            trust = share * trusts[0] + (1 - share) * trusts[1]
            near = share * nears[0] + (1 - share) * nears[1]
            first, second = (side.picture for side in sides)
            full = resize_image(share, size)[..., None]
            picture = np.rint(full * first + (1 - full) * second).astype(np.uint8)
            apart = cv2.absdiff(first, second).mean(axis=2)
            agreement = 255 - np.clip(2 * apart, 0, 255).astype(np.uint8)
        maps = [
            np.rint(255 * resize_image(values.astype(np.float32), size)).astype(np.uint8) for values in (trust, near)
        ]
        return np.dstack([picture, *maps, agreement])
