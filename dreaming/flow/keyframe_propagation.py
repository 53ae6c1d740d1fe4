"""Propagation of a layer's stylised keyframes through a clip along the optical flow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.clip.keyframe_folder import KeyframeFolder
from dreaming.flow.propagation import FlowPropagator, PropagatedFrame, propagation_cost, quantise_cost
from dreaming.imaging.resize import resize_image
from dreaming.io.types import Flow, Image

UNPAINTED = np.uint8(255)
"""Quantised cost where a keyframe is not painted: the weight is 0."""

MASK_THRESHOLD = 127
"""Level above which a resized or propagated mask counts as True."""


@dataclass(frozen=True, eq=False)
class PropagatedKeyframe:
    """A stylised keyframe as seen from another frame.

    Attributes:
        image: (H, W, 3) RGB, the propagated stylised image.
        cost: (h, w) at the flow's working size, ``flow.propagation.quantise_cost``; 255 where it is not painted.
        steps: Number of steps between neighbouring frames from the keyframe.
    """

    image: Image
    cost: NDArray[np.uint8]
    steps: int


@dataclass(frozen=True)
class KeyframePropagator:
    """Propagate a layer's keyframes to other frames; for the scales, see ``flow.propagation.propagation_cost``."""

    clip: Clip
    keyframes: KeyframeFolder
    propagator: FlowPropagator
    error_scale: float
    occlusion_weight: float

    @cached_property
    def indices(self) -> dict[str, int]:
        """Index of each frame in the clip."""
        return {stem: index for index, stem in enumerate(self.clip.stems)}

    @property
    def keyframe_stems(self) -> list[str]:
        """Names of the keyframes, in order."""
        return [stem for stem in self.keyframes.painted.stems if stem in self.indices]

    def keyframe(self, stem: str) -> PropagatedKeyframe:
        """A keyframe at its own frame, zero steps away."""
        cost = np.where(self._painted_area(stem) > MASK_THRESHOLD, np.uint8(0), UNPAINTED)
        return PropagatedKeyframe(self._stylised(stem), cost, 0)

    def propagate(self, start: str, end: str, wanted: Sequence[str]) -> Iterator[tuple[str, PropagatedKeyframe]]:
        """Propagate keyframe ``start`` towards frame ``end`` and yield the wanted frames on the way."""
        image, area, asked = self._stylised(start), self._painted_area(start), set(wanted)
        source = self.clip.frames.read(start)
        for propagated in self.propagator.propagate(self._path(start, end)):
            if propagated.stem in asked:
                yield propagated.stem, self._propagated(self.propagator.refined(propagated, source), image, area)

    def round_trip(self, stem: str, turn: str, flow_error: Flow, error_per_step: float) -> PropagatedKeyframe:
        """Propagate a keyframe to frame ``turn`` and back, then displace it by a flow error that grows with the steps.

        The error is (h, w, 2), in units of ``error_per_step`` working pixels.
        """
        there = self._path(stem, turn)
        *_, returned = self.propagator.propagate([*there, *there[-2::-1]])
        displaced = self.propagator.displace(returned, error_per_step * returned.steps * flow_error)
        return self._propagated(displaced, self._stylised(stem), self._painted_area(stem))

    def propagate_neighbours(self, stem: str) -> list[PropagatedKeyframe]:
        """Propagate the keyframes before and after a keyframe in its shot to it."""
        keyframes = [key for key in self.keyframe_stems if self.clip.shots.joined(key, stem)]
        index = keyframes.index(stem)
        starts = [*keyframes[max(index - 1, 0) : index], *keyframes[index + 1 : index + 2]]
        return [keyframe for start in starts for _, keyframe in self.propagate(start, stem, [stem])]

    def _path(self, start: str, end: str) -> list[str]:
        first, last = self.indices[start], self.indices[end]
        step = 1 if last > first else -1
        return [self.clip.stems[index] for index in range(first, last + step, step)]

    def _stylised(self, stem: str) -> Image:
        return self.keyframes.painted.read(stem, self.clip.size)

    def _painted_area(self, stem: str) -> NDArray[np.uint8]:
        """255 where a keyframe is painted, (h, w) at the flow's working size."""
        mask = self.keyframes.mask(stem, self.clip.size).astype(np.uint8)
        return resize_image(255 * mask, self.propagator.flows.working_size)

    def _propagated(self, frame: PropagatedFrame, image: Image, area: NDArray[np.uint8]) -> PropagatedKeyframe:
        cost = quantise_cost(propagation_cost(frame.error, frame.visible, self.error_scale, self.occlusion_weight))
        painted = frame.sample(area) > MASK_THRESHOLD
        return PropagatedKeyframe(frame.sample(image), np.where(painted, cost, UNPAINTED), frame.steps)
