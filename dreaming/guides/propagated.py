"""The propagated guide: the nearest stylised keyframes propagated along the optical flow."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain, pairwise
from typing import Annotated, ClassVar

import cv2
import numpy as np

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.clip.intervals import FrameInterval, group_by_interval
from dreaming.constraints import NonNegativeFloat, PositiveFloat, PositiveInt, Range, Workers
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.keyframe_propagation import KeyframePropagator, PropagatedKeyframe
from dreaming.flow.propagation import (
    COST_LEVELS,
    DriftCorrection,
    FlowPropagator,
    dequantise_cost,
    propagation_weight,
)
from dreaming.guides.base import Channels, Guide
from dreaming.imaging.brush_strokes import detail_correlation, painted_over, without_margin
from dreaming.imaging.resize import resize_image
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.types import Flow, Size

log = logging.getLogger(__name__)

MAX_COST = 1.5
"""Cost, in e-folds, above which a propagated pixel is ignored when strokes are compared."""

KNOT_SPACING = 32
"""Working pixels between the knots of the random flow error of a round trip."""

STROKE_SIGMA = 4.0
"""Gaussian blur in pixels that removes strokes, when strokes are compared."""

MIN_CORRELATION = 0.1
"""Correlation with a keyframe's strokes below which neither frames nor other keyframes predict them."""

MAX_LOG_RATIO = 50.0
"""Limit of a logarithm of a ratio of weights, far below the overflow of exp in float32."""

BYTES = 2.2
"""Size per pixel of a propagated keyframe in the temporary file, compressed: 2.19 on dance-twirl."""


@dataclass(frozen=True)
class PropagatedGuide(Guide):
    """The nearest stylised keyframes on both sides of a frame, propagated along the optical flow.

    Six channels: RGB of the propagated keyframe, at each pixel from the side with the greater weight
    w = visibility exp(-error / error_scale) / steps; confidence, 255 w steps of that side; nearness in time, 255
    halved every ``half_life`` steps; and agreement, 255 where both sides are equal, 0 where there is only one side.
    Where a keyframe is not painted, the weight of its side is 0. A shot without a keyframe has 0 in all channels. The
    flow to a keyframe is refined at the size of the frames.

    In training, a keyframe is shown as the other keyframes propagated to it, and as itself after a round trip with a
    random flow error: flow errors that add up on the way to another frame cancel out on the way back. Round trips are
    misleading if the brush strokes do not follow the motion, because they return every stroke to its position. If a
    comparison of the keyframes, propagated to each other, shows this, all channels are 0 in all frames. Strokes that
    neither the others nor the frames predict are propagated nevertheless: without them a network can only blur.

    Attributes:
        flow: Optical flow method.
        error_scale: Photometric error (sum of Lab differences, 0..255 each) that lowers the weight to 1/e.
        drift: Correction of drift; None: no correction.
        occlusion_weight: Visibility of an occluded pixel, by the forward-backward check.
        hardness: Exponent of the weights when both sides are blended; larger values switch more abruptly.
        half_life: Steps after which nearness is halved.
        round_trips: Round trips of each keyframe for training.
        max_gap: Largest number of steps from a keyframe to the turn of a round trip.
        flow_error: Scale of a round trip's flow error, in working pixels per step: a smooth flow, cubes of normal
            deviates, so that most of the image has a small error and some of it a large one.
        min_transfer_ratio: How much better than its frame the other keyframes must predict a keyframe's strokes (ratio
            of correlations).
        workers: Pairs of frames whose flow is computed in parallel.
    """

    kind: ClassVar[str] = "propagated_guide"
    version: ClassVar[int] = 3
    channels: ClassVar[int] = 6
    painting_channel: ClassVar[int | None] = 0

    flow: DisFlow
    error_scale: PositiveFloat = 5.0
    drift: DriftCorrection | None = field(
        default_factory=partial(DriftCorrection, min_improvement=0.0, smoothing_iterations=5)
    )
    occlusion_weight: Annotated[float, Range(gt=0, le=1)] = 0.1
    hardness: PositiveFloat = 4.0
    half_life: PositiveFloat = 10.0
    round_trips: PositiveInt = 2
    max_gap: PositiveInt = 20
    flow_error: NonNegativeFloat = 0.15
    min_transfer_ratio: NonNegativeFloat = 1.5
    workers: Workers = field(default=2, kw_only=True, metadata=NO_EFFECT)

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's guide, in order; the clip's order is the fastest."""
        propagator = self._propagator(clip, layer)
        if not self._strokes_transfer(propagator, layer, propagator.propagate_neighbours):
            yield from ((stem, self._zeros(clip.size)) for stem in stems)
            return
        groups = group_by_interval(clip.shots, propagator.keyframe_stems, stems)
        ends = [((each.left, wanted[-1]), (each.right, wanted[0])) for each, wanted in groups if each]
        self._complete_flow(propagator, [(key, end) for pair in ends for key, end in pair if key is not None])
        for interval, wanted in groups:
            if interval is None:
                yield from ((stem, self._blend([propagator.keyframe(stem)], clip.size)) for stem in wanted)
            else:
                yield from self._draw_interval(propagator, interval, wanted)

    def _draw_interval(
        self, propagator: KeyframePropagator, interval: FrameInterval, wanted: Sequence[str]
    ) -> Iterator[tuple[str, Channels]]:
        """Draw frames of one interval between keyframes, in the clip's order."""
        clip = propagator.clip
        items = 0 if interval.right is None else len(wanted)
        with DiskBuffer(clip.path, "propagated keyframes", items, BYTES * math.prod(clip.size)) as buffer:
            if interval.right is not None:
                # The right keyframe reaches the last frame first, so its results wait in the buffer.
                for stem, side in propagator.propagate(interval.right, wanted[0], wanted):
                    buffer.write(stem, [side.image, side.cost, np.array([side.steps], np.uint32).view(np.uint8)])

            def from_right(stem: str) -> list[PropagatedKeyframe]:
                if interval.right is None:
                    return []
                image, cost, steps = buffer.read(stem)
                return [PropagatedKeyframe(image, cost, int(steps.view(np.uint32)[0]))]

            if interval.left is None:
                yield from ((stem, self._blend(from_right(stem), clip.size)) for stem in wanted)
            else:
                for stem, side in propagator.propagate(interval.left, wanted[-1], wanted):
                    yield stem, self._blend([side, *from_right(stem)], clip.size)

    def training_examples(
        self, clip: Clip, layer: Layer, stems: Iterable[str], seed: int
    ) -> Iterator[tuple[str, Channels]]:
        """Yield each keyframe predicted from the others, and from itself after round trips of random length."""
        propagator = self._propagator(clip, layer)
        neighbours_of = cache(propagator.propagate_neighbours)
        transfers = self._strokes_transfer(propagator, layer, neighbours_of)
        log.info("guide propagated: %s", "on" if transfers else "off, because brush strokes do not follow the motion")
        if not transfers:
            yield from ((stem, self._zeros(clip.size)) for stem in stems)
            return
        trips = {stem: list(self._draw_round_trips(propagator, stem, seed)) for stem in stems}
        self._complete_flow(propagator, [(stem, turn) for stem, several in trips.items() for turn, _ in several])
        # Drift correction against the keyframe itself would undo every error.
        uncorrected = replace(propagator, propagator=replace(propagator.propagator, drift=None))
        for stem, several in trips.items():
            neighbours = neighbours_of(stem)
            if neighbours:
                yield stem, self._blend(neighbours, clip.size)
            if not several:
                yield stem, self._blend([propagator.keyframe(stem)], clip.size)
            for number, (turn, error) in enumerate(several):
                returned = uncorrected.round_trip(stem, turn, error, self.flow_error)
                # Every second round trip is combined with a real neighbour, as in frames between two keyframes.
                yield stem, self._blend([returned, *neighbours[:1]] if number % 2 else [returned], clip.size)

    def _draw_round_trips(self, propagator: KeyframePropagator, stem: str, seed: int) -> Iterator[tuple[str, Flow]]:
        """Draw turns, uniform in the logarithm of the distance, with flow errors; none in a shot of one frame."""
        names = propagator.clip.shots.of(stem)
        index = names.index(stem)
        rng = np.random.default_rng((seed, propagator.indices[stem]))
        rooms = {way: min(self.max_gap, room) for way, room in ((-1, index), (1, len(names) - 1 - index)) if room}
        height, width = propagator.propagator.flows.working_size
        for _ in range(self.round_trips if rooms else 0):
            way = int(rng.choice(list(rooms)))
            turn = names[index + way * int(np.exp(rng.uniform(0, np.log(rooms[way] + 1))))]
            knots = rng.standard_normal((height // KNOT_SPACING + 2, width // KNOT_SPACING + 2, 2)).astype(np.float32)
            yield turn, cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC) ** 3

    def _zeros(self, size: Size) -> Channels:
        return np.zeros((*size, self.channels), np.uint8)

    def _strokes_transfer(
        self, propagator: KeyframePropagator, layer: Layer, neighbours_of: Callable[[str], list[PropagatedKeyframe]]
    ) -> bool:
        """Whether the other keyframes, propagated to a keyframe, predict its strokes better than its frame does.

        Keyframes that show too little of each other, as across a cut, are not compared. If none can be compared, as for
        a single keyframe, strokes are assumed to transfer.
        """
        by_neighbours, by_frame = list[float](), list[float]()
        stems = propagator.keyframe_stems
        shots = propagator.clip.shots
        self._complete_flow(propagator, (pair for pair in pairwise(stems) if shots.joined(*pair)))
        keyframes = propagator.clip.keyframes(layer)
        for stem, frame, stylised, mask in zip(
            keyframes.stems, keyframes.sources, keyframes.styled, keyframes.masks, strict=True
        ):
            painted = without_margin(mask, STROKE_SIGMA) & painted_over(stylised, frame, STROKE_SIGMA)
            for side in neighbours_of(stem):
                where = painted & (resize_image(side.cost, propagator.clip.size) < MAX_COST * COST_LEVELS)
                from_neighbour, from_frame = (
                    detail_correlation(stylised, other, where, STROKE_SIGMA) for other in (side.image, frame)
                )
                if from_neighbour is not None and from_frame is not None:
                    by_neighbours.append(from_neighbour)
                    by_frame.append(abs(from_frame))
        if not by_neighbours:
            log.debug("guide propagated: no two keyframes overlap enough to compare their strokes")
            return True
        neighbour_mean, frame_mean = float(np.mean(by_neighbours)), float(np.mean(by_frame))
        unpredicted = max(neighbour_mean, frame_mean) < MIN_CORRELATION  # their ratio would be chance
        transfers = unpredicted or neighbour_mean > self.min_transfer_ratio * frame_mean
        log.debug("strokes: correlation %.2f with neighbours, %.2f with frames", neighbour_mean, frame_mean)
        return transfers

    def _complete_flow(self, propagator: KeyframePropagator, paths: Iterable[tuple[str, str]]) -> None:
        """Compute missing flow on these paths from one frame to another."""
        flows = propagator.propagator.flows
        flows.complete(chain.from_iterable(flows.pairs_between(*path) for path in paths), workers=self.workers)

    def _propagator(self, clip: Clip, layer: Layer) -> KeyframePropagator:
        propagator = FlowPropagator(clip, FlowCache(clip, self.flow), self.drift)
        keyframes = clip.masked_keyframes(layer)
        return KeyframePropagator(clip, keyframes, propagator, self.error_scale, self.occlusion_weight)

    def _blend(self, sides: Sequence[PropagatedKeyframe], size: Size) -> Channels:
        """The six channels (H, W, 6) of the keyframes propagated from the sides; 0 without any."""
        if not sides:
            return self._zeros(size)
        costs = [dequantise_cost(side.cost) for side in sides]  # (h, w) each
        confidences = [propagation_weight(cost, steps=1) for cost in costs]
        nearness_of = [0.5 ** (side.steps / self.half_life) for side in sides]
        if len(sides) == 1:
            image, confidence = sides[0].image, confidences[0]
            nearness, agreement = np.full_like(confidence, nearness_of[0]), np.zeros(size, np.uint8)
        else:
            # The ratio of weights as a difference of logarithms: it may exceed the range of float32.
            logs = [cost + np.log(np.float32(max(side.steps, 1))) for cost, side in zip(costs, sides, strict=True)]
            ratio = np.clip(self.hardness * (logs[0] - logs[1]), -MAX_LOG_RATIO, MAX_LOG_RATIO)
            share = 1 / (1 + np.exp(ratio))
            confidence = share * confidences[0] + (1 - share) * confidences[1]
            nearness = share * nearness_of[0] + (1 - share) * nearness_of[1]
            first, second = (side.image for side in sides)
            full = resize_image(share, size)[..., None]
            image = np.rint(full * first + (1 - full) * second).astype(np.uint8)
            difference = cv2.absdiff(first, second).mean(axis=2)
            agreement = 255 - np.clip(2 * difference, 0, 255).astype(np.uint8)
        maps = [
            np.rint(255 * resize_image(values.astype(np.float32), size)).astype(np.uint8)
            for values in (confidence, nearness)
        ]
        return np.dstack([image, *maps, agreement])
