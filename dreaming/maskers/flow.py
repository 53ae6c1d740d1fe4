"""Masks by optical flow: hand masks propagated from both sides of a frame and blended by how reliable each is."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.clip.intervals import FrameInterval, group_by_interval
from dreaming.clip.shots import Shots
from dreaming.constraints import NonNegativeInt, PositiveFloat, Range
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.propagation import (
    DriftCorrection,
    FlowPropagator,
    dequantise_cost,
    propagation_cost,
    propagation_weight,
    quantise_cost,
)
from dreaming.imaging.guided_filter import edge_window, guided_filter
from dreaming.imaging.resize import resize_image
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Probability, Size
from dreaming.maskers.base import Predictions, SequenceMasker, between_equal_masks

EDGE_EPSILON = 1e-3
"""Variance of grey (0..1) above which the guided filter sees an edge; ``edge_radius`` sets the filter's strength."""

BYTES = 0.17
"""Size per pixel of a propagated mask and its cost in the temporary file, compressed: .168 on dance-twirl."""


@dataclass
class FlowMasker(SequenceMasker):
    """Propagate the hand masks on both sides of a frame to it, blended by weight.

    The weight of a propagated mask is visible * exp(-error / error_scale) / steps.

    Attributes:
        error_scale: Photometric error (sum of Lab differences, 0..255 each) that lowers a weight to 1/e.
        drift: Correction of the drift of chained flow; None: no correction.
        occlusion_weight: Share of its weight that a propagated mask keeps where it is occluded; 1: no check.
        edge_radius: Window of the guided filter that pulls the outline to the frame's edges, in pixels, limited for a
            small subject; 0: no filter.
    """

    kind: ClassVar[str] = "flow_masker"

    flow: DisFlow
    error_scale: PositiveFloat = 5.0
    drift: DriftCorrection | None = field(default_factory=DriftCorrection)
    occlusion_weight: Annotated[float, Range(gt=0, le=1)] = 0.1
    edge_radius: NonNegativeInt = 4

    def flows(self, clip: Clip) -> FlowCache:
        """The flow along which masks are propagated."""
        return FlowCache(clip, self.flow)

    def unchanged(self, shots: Shots, before: Mapping[str, str], now: Mapping[str, str]) -> frozenset[str]:
        """Frames between the same hand masks."""
        return between_equal_masks(shots, before, now)

    def predict(self, clip: Clip, stems: Iterable[str]) -> Predictions:
        """Yield each frame's probability; the flow on the way to these frames is computed first where it is missing."""
        stems, flows = list(stems), self.flows(clip)
        ways = [
            flows.pairs_between(start, end)
            for interval, wanted in group_by_interval(clip.shots, self._masks, stems)
            if interval is not None
            for start, end in ((interval.left, wanted[-1]), (interval.right, wanted[0]))
            if start is not None
        ]
        flows.complete(chain.from_iterable(ways), workers=self.workers)
        yield from super().predict(clip, stems)

    def predict_interval(self, clip: Clip, interval: FrameInterval, wanted: frozenset[str]) -> Predictions:
        """Yield the wanted frames of an interval, in order; a shot without a hand mask shows no subject."""
        if interval.left is None and interval.right is None:
            yield from ((stem, np.zeros(clip.size, np.float32)) for stem in interval.stems if stem in wanted)
            return
        propagator = FlowPropagator(clip, self.flows(clip), self.drift)
        paths = [
            [start, *stems]
            for start, stems in ((interval.left, interval.stems), (interval.right, interval.stems[::-1]))
            if start is not None
        ]
        stems = [stem for stem in interval.stems if stem in wanted]
        items, size = len(paths) * len(stems), BYTES * math.prod(clip.size)
        with DiskBuffer(clip.path, "propagated masks", items, size) as buffer:
            # Both directions run at once, from opposite ends: the masks that arrive first wait in the buffer.
            for _ in prefetch_map(lambda path: self._propagate(propagator, path, wanted, buffer), paths, len(paths)):
                pass
            radius = edge_window(self.edge_radius, self.subject_size(interval))

            def blend(stem: str) -> tuple[str, Probability]:
                image = clip.frames.read(stem)
                return stem, guided_filter(self._blend(stem, paths, buffer, clip.size), image, radius, EDGE_EPSILON)

            yield from prefetch_map(blend, stems, self.workers)

    def _propagate(
        self, propagator: FlowPropagator, path: Sequence[str], wanted: frozenset[str], buffer: DiskBuffer
    ) -> None:
        """Write a hand mask in 0..255 and its cost, as propagated to each wanted frame, to the buffer."""
        start, last = path[0], max(index for index, stem in enumerate(path) if stem in wanted)
        mask = self._masks[start].astype(np.uint8) * 255
        for frame in propagator.propagate(path[: last + 1], mask):
            if frame.stem in wanted:
                cost = propagation_cost(frame.error, frame.visible, self.error_scale, self.occlusion_weight)
                buffer.write((start, frame.stem), [frame.sample(mask), quantise_cost(cost)])

    def _blend(self, stem: str, paths: Sequence[Sequence[str]], buffer: DiskBuffer, size: Size) -> Probability:
        propagated = [buffer.read((path[0], stem)) for path in paths]
        blended = _probability(propagated[0][0])
        if len(paths) == 2:
            weight, other = (
                propagation_weight(dequantise_cost(cost), path.index(stem))
                for path, (_, cost) in zip(paths, propagated, strict=True)
            )
            share = resize_image(weight / (weight + other), size)
            blended = (share * blended + (1 - share) * _probability(propagated[1][0])).astype(np.float32, copy=False)
        return blended


def _probability(mask: NDArray[np.uint8]) -> Probability:
    return mask * np.float32(1 / 255)
