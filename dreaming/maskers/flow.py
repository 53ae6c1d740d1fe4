"""Masks by motion: hand masks carried along the optical flow from both sides, blended by how well each arrived."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.intervals import FrameInterval
from dreaming.errors import ConfigError
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.propagation import DriftCorrection, FlowPropagator, PropagatedFrame
from dreaming.imaging.guided_filter import guided_filter
from dreaming.imaging.resize import resize_image
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Probability
from dreaming.maskers.base import Frames, SequenceMasker

TENTHS = 10
"""Steps of an e-fold in which a side's weight is kept in a byte."""


@dataclass
class FlowMasker(SequenceMasker):
    """Carry the hand masks on both sides of a frame to it, and blend them by w = visible exp(-error / scale) / steps.

    Attributes:
        flow: How flow is computed.
        error_scale: Photometric error (sum of Lab differences, 0..255 each) that lowers a side's weight to 1/e.
        error_sigma: Blur of that error, in the flow's working pixels.
        drift: How carrying over many frames is corrected; None: not.
        hidden: Share of its weight that a side keeps where the forward-backward check found it hidden; 1: no check.
        edge_radius: Window of the guided filter that pulls the outline to the frame's edges, in pixels; 0: none.
        edge_epsilon: Variance of grey in 0..1 from which on it takes something for an edge.

    Raises:
        ConfigError: If a value is out of its range.
    """

    kind: ClassVar[str] = "flow_masker"

    flow: DisFlow
    error_scale: float = 5.0
    error_sigma: float = 2.0
    drift: DriftCorrection | None = field(default_factory=DriftCorrection)
    occlusion_weight: float = 0.1
    edge_radius: int = 4
    edge_epsilon: float = 1e-3

    def __post_init__(self) -> None:
        for name, fits, expected in (
            ("error_scale", self.error_scale > 0, "above 0"),
            ("error_sigma", self.error_sigma >= 0, "0 pixels or more"),
            ("hidden", 0 < self.occlusion_weight <= 1, "above 0, at most 1"),
            ("edge_radius", self.edge_radius >= 0, "0 pixels or more"),
            ("edge_epsilon", self.edge_epsilon > 0, "above 0"),
        ):
            if not fits:
                found = str(getattr(self, name))
                raise ConfigError(f"masker.flow.{name}", found=found, expected=expected, hint="correct it")

    def fit(self, clip: Clip, references: References) -> Self:
        """Keep the hand masks, and see to it that the clip's flow is there.

        Raises:
            MaskError: If none of them belongs to a frame of the clip.
        """
        super().fit(clip, references)
        FlowCache(clip, self.flow).complete(workers=self.workers)
        return self

    def predict_interval(self, clip: Clip, run: FrameInterval, wanted: frozenset[str]) -> Frames:
        """Yield the wanted frames of a run, in order."""
        carrier = FlowPropagator(clip, FlowCache(clip, self.flow), self.drift, self.error_sigma)
        sides = [
            _Direction(start, stems)
            for start, stems in ((run.left, run.stems), (run.right, run.stems[::-1]))
            if start is not None
        ]
        stems = [stem for stem in run.stems if stem in wanted]
        with DiskBuffer(clip.path) as buffer:
            # Both come at once, from opposite ends: what arrives first waits in the spool for the other.
            for _ in prefetch_map(lambda side: self._bring(carrier, side, wanted, buffer), sides, len(sides)):
                pass
            yield from prefetch_map(lambda stem: (stem, self._blend(clip, stem, sides, buffer)), stems, self.workers)

    def _bring(self, carrier: FlowPropagator, side: "_Direction", wanted: frozenset[str], buffer: DiskBuffer) -> None:
        """Carry a hand mask to each wanted frame, up to the last that is wanted: mask in 0..255, and doubt."""
        last = max((place for place, stem in enumerate(side.stems) if stem in wanted), default=-1)
        mask = self._masks[side.start].astype(np.uint8) * 255
        for carried in carrier.propagate([side.start, *side.stems[: last + 1]]):
            if carried.stem in wanted:
                buffer.write((side.start, carried.stem), [carried.sample(mask), self._doubt(carried)])

    def _blend(self, clip: Clip, stem: str, sides: Sequence["_Direction"], buffer: DiskBuffer) -> Probability:
        image = clip.frames.read(stem)
        arrived = [buffer.read((side.start, stem)) for side in sides]
        blended = _probability(arrived[0][0])
        if len(sides) == 2:
            weight, other = (_weight(doubt, side.steps(stem)) for side, (_, doubt) in zip(sides, arrived, strict=True))
            share = resize_image(weight / (weight + other), clip.size)
            blended = (share * blended + (1 - share) * _probability(arrived[1][0])).astype(np.float32, copy=False)
        return guided_filter(blended, image, self.edge_radius, self.edge_epsilon)

    def _doubt(self, carried: PropagatedFrame) -> NDArray[np.uint8]:
        """By how many e-folds a side's weight is lowered, (h, w) in tenths, 255 and more as 255."""
        seen = self.occlusion_weight + (1 - self.occlusion_weight) * carried.visible
        doubt = carried.error / self.error_scale - np.log(seen)
        return np.rint(np.clip(doubt * TENTHS, 0, 255)).astype(np.uint8)


@dataclass(frozen=True)
class _Direction:
    """A hand mask, and the frames of a run in the order in which it comes to them."""

    start: str
    stems: Sequence[str]

    def steps(self, stem: str) -> int:
        """Neighbours passed on the way to a frame."""
        return self.stems.index(stem) + 1


def _weight(doubt: NDArray[np.uint8], steps: int) -> NDArray[np.float32]:
    return np.exp(doubt * np.float32(-1 / TENTHS)) / np.float32(steps)


def _probability(mask: NDArray[np.uint8]) -> Probability:
    return mask * np.float32(1 / 255)
