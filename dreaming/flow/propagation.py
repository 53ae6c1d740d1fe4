"""Propagation of images from a reference frame along chained optical flow, with the weight of each propagated pixel.

Flows are chained and pixels are sampled once, so an image is as sharp after a hundred frames as after one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.constraints import NonNegativeFloat, NonNegativeInt, PositiveFloat
from dreaming.flow.cache import FlowCache
from dreaming.flow.relocation import Subject
from dreaming.flow.warp import chain, consistent, resize_flow, warp
from dreaming.imaging.resize import resize_image
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Flow, Image, Size

ERROR_SIGMA = 2.0
"""Gaussian blur of the photometric error, in working pixels."""

COST_LEVELS = 10
"""Levels per e-fold when a cost is stored in a byte; level 255 means a cost of 25.5 or more, a weight of 1e-11."""

CACHE_BYTES = 2**27
"""Memory for recently read frames, 81 of 854x480."""

DRIFT_COARSEST_SCALE = 1
"""First level of a search for drift, half the size of the flow: it is nearly right already."""
DRIFT_PATCH_STRIDE = 4
"""Pixels between the patches of a search at the working size; denser ones cost time and gain nothing."""
DRIFT_DESCENT_ITERATIONS = 12
"""Steps of gradient descent per patch, as between neighbouring frames."""


def propagation_cost(
    error: NDArray[np.float32], visible: NDArray[np.float32], error_scale: float, occlusion_weight: float
) -> NDArray[np.float32]:
    """Negative logarithm of a propagated pixel's weight, for one step: error / error_scale - log(visibility).

    Args:
        error: (h, w), see ``PropagatedFrame``.
        visible: (h, w) in 0..1, see ``PropagatedFrame``.
        error_scale: Error that lowers the weight to 1/e.
        occlusion_weight: Visibility of an occluded pixel, in (0, 1].
    """
    visibility = occlusion_weight + (1 - occlusion_weight) * visible
    cost: NDArray[np.float32] = error / np.float32(error_scale) - np.log(visibility)
    return cost


def propagation_weight(cost: NDArray[np.float32], steps: float) -> NDArray[np.float32]:
    """Weight of a pixel that was propagated over some steps: w = visibility exp(-error / error_scale) / steps."""
    return (np.exp(-cost) / np.float32(steps)).astype(np.float32, copy=False)


def quantise_cost(cost: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round a cost to ``COST_LEVELS`` levels per e-fold, clipped to 0..255."""
    return np.rint(np.clip(cost * COST_LEVELS, 0, 255)).astype(np.uint8)


def dequantise_cost(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Restore a cost from its levels."""
    return levels * np.float32(1 / COST_LEVELS)


@dataclass(frozen=True, eq=False)
class PropagatedFrame:
    """A reference frame as seen from another frame.

    Maps have the flow's working size (h, w), but see ``FlowPropagator.refined``. ``sample`` works at the size of its
    argument.

    Attributes:
        stem: Name of the target frame.
        image: (H, W, 3) RGB, the target frame.
        steps: Number of steps between neighbouring frames from the reference to the target.
        flow: (h, w, 2), from each pixel of the target to the reference, in pixels of its size.
        error: (h, w), photometric: blurred sum of absolute Lab differences (each 0..255) between the propagated
            reference and the target.
        visible: (h, w) in 0..1; 0 where a pixel was occluded or outside the frame at any step.
    """

    stem: str
    image: Image
    steps: int
    flow: Flow
    error: NDArray[np.float32]
    visible: NDArray[np.float32]

    def sample(self, image: NDArray[Any]) -> NDArray[Any]:
        """Warp an image of the reference frame, (H, W) or (H, W, C), uint8 or float32, to the target frame."""
        size = image.shape[:2]
        # A mask and a keyframe share one size, so the flow is resized once.
        if size not in self._flows:
            self._flows[size] = resize_flow(self.flow, size)
        return warp(image, self._flows[size])

    @cached_property
    def _flows(self) -> dict[Size, Flow]:
        return {}


@dataclass(frozen=True)
class DriftCorrection:
    """Correction of the drift of chained flow, by searching again between the target and the reference frame.

    Errors of single flows add up along the way. A direct comparison with the reference removes them where it lowers
    the photometric error.

    Attributes:
        max_correction: Largest correction per frame, in working pixels.
        min_improvement: Decrease of the photometric error that a correction must exceed.
        smoothing_iterations: Rounds of variational refinement per level of the search.
    """

    kind: ClassVar[str] = "drift_correction"

    max_correction: PositiveFloat = 6.0
    min_improvement: NonNegativeFloat = 2.0
    smoothing_iterations: NonNegativeInt = 1


@dataclass(frozen=True)
class FlowPropagator:
    """Propagate frames along the optical flow of one clip; ``drift`` None: without correction."""

    clip: Clip
    flows: FlowCache
    drift: DriftCorrection | None = DriftCorrection()

    def propagate(self, path: Sequence[str], mask: NDArray[np.uint8] | None = None) -> Iterator[PropagatedFrame]:
        """Propagate the first frame of a path, the reference, to each following frame; hold few frames in memory.

        Args:
            path: Names of frames, each a neighbour of the previous one: forward, backward or a round trip.
            mask: The subject in the first frame, (H, W) in 0..255 at any size; it is searched for where flow loses it.
        """
        if len(path) < 2:
            return
        frames = prefetch_map(lambda stem: (stem, *self._read(stem)), path, 2)
        _, first, reference = next(frames)
        shown = None if mask is None else resize_image(mask, first.shape[:2]) > 127
        subject = Subject(first, shown) if shown is not None and shown.any() else None
        flow: Flow | None = None
        visible = np.ones(self.flows.working_size, np.float32)
        for steps, (stem, image, target) in enumerate(frames, start=1):
            back, forth = self.flows.both_ways(stem, path[steps - 1])
            seen = consistent(back, forth)
            inside = warp(visible, back, border=cv2.BORDER_CONSTANT)
            visible = np.where(seen, inside, np.float32(0))
            flow = back if flow is None else chain(back, flow)
            error = self._error(reference, target, flow)
            if self.drift is not None and steps > 1:
                flow, error = self._corrected(self.drift, reference, target, flow, error)
            if subject is not None and (shift := subject.relocated(flow, error, image)) is not None:
                flow, visible = subject.moved(flow, visible, shift)
                error = self._error(reference, target, flow)
            yield PropagatedFrame(stem, image, steps, flow, error, visible)

    def displace(self, returned: PropagatedFrame, offset: Flow) -> PropagatedFrame:
        """Add a flow error (h, w, 2) to a frame after a round trip, and recompute its photometric error."""
        itself = self._prepared(returned.image)
        flow = returned.flow + offset
        return replace(returned, flow=flow, error=self._error(itself, itself, flow))

    def refined(self, propagated: PropagatedFrame, reference: Image) -> PropagatedFrame:
        """Refine a flow at the size of the frames, unless drift is not corrected; a fraction of a pixel shifts strokes.

        Maps of error and visibility keep the working size.
        """
        if self.drift is None:
            return propagated
        target, other = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (propagated.image, reference))
        start = resize_flow(propagated.flow, target.shape)
        search = replace(self.flows.flow, smoothing_iterations=self.drift.smoothing_iterations)
        return replace(propagated, flow=search.refine(target, other, start, DRIFT_COARSEST_SCALE))

    @cached_property
    def _read(self) -> Callable[[str], tuple[Image, "_WorkingFrame"]]:
        """Read a frame, or return it from the cache: paths overlap, and decoding takes as long as propagation."""
        height, width = self.clip.size

        def read(stem: str) -> tuple[Image, _WorkingFrame]:
            image = self.clip.frames.read(stem)
            return image, self._prepared(image)

        # With its smaller versions, an image of 3 bytes a pixel takes 4.
        return lru_cache(maxsize=CACHE_BYTES // (4 * height * width))(read)

    def _prepared(self, image: Image) -> "_WorkingFrame":
        lab = cv2.cvtColor(resize_image(image, self.flows.working_size), cv2.COLOR_RGB2LAB)
        return _WorkingFrame(self.flows.flow.prepare(image), lab)

    def _error(self, reference: "_WorkingFrame", target: "_WorkingFrame", flow: Flow) -> NDArray[np.float32]:
        difference = cv2.absdiff(warp(reference.lab, flow), target.lab)
        error = cv2.transform(difference, np.ones((1, 3), np.float32)).astype(np.float32)
        return cv2.GaussianBlur(error, (0, 0), ERROR_SIGMA)

    def _corrected(
        self,
        drift: DriftCorrection,
        reference: "_WorkingFrame",
        target: "_WorkingFrame",
        flow: Flow,
        error: NDArray[np.float32],
    ) -> tuple[Flow, NDArray[np.float32]]:
        search = replace(
            self.flows.flow,
            patch_stride=DRIFT_PATCH_STRIDE,
            descent_iterations=DRIFT_DESCENT_ITERATIONS,
            smoothing_iterations=drift.smoothing_iterations,
        )
        refined = search.refine(target.grey, reference.grey, flow, DRIFT_COARSEST_SCALE)
        refined_error = self._error(reference, target, refined)
        # NumPy is slow along a short last axis.
        change = np.maximum(*map(np.abs, cv2.split(refined - flow)))
        better = (refined_error + drift.min_improvement < error) & (change < drift.max_correction)
        return np.where(better[..., None], refined, flow), np.where(better, refined_error, error)


@dataclass(frozen=True, eq=False)
class _WorkingFrame:
    """A frame at the working size: (h, w) grey, and (h, w, 3) Lab in 0..255."""

    grey: NDArray[np.uint8]
    lab: NDArray[np.uint8]
