"""Carrying pictures from a reference frame to others along the chained flow, with a measure of how far to trust them.

Flows are chained and pixels sampled once, so that a picture carried over a hundred frames is as sharp as over one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow, check_search
from dreaming.flow.warp import chain, consistent, coordinates, resize_flow, warp
from dreaming.imaging.resize import resize_image
from dreaming.io.types import Flow, Image, Size


@dataclass(frozen=True, eq=False)
class PropagatedFrame:
    """How a reference frame looks from another one.

    Maps are at the flow's working size (h, w); ``sample`` works at the size of what it samples.

    Attributes:
        stem: The frame that was carried to.
        image: (H, W, 3) RGB, that frame.
        steps: Neighbours passed on the way from the reference.
        flow: (h, w, 2), where each pixel of this frame lies in the reference, in working pixels.
        error: (h, w), photometric: sum over Lab (in 0..255 each) of absolute differences between the carried reference
            frame and this one, blurred.
        visible: (h, w) in 0..1, 0 where a pixel was hidden or left the picture anywhere on the way.
    """

    stem: str
    image: Image
    steps: int
    flow: Flow
    error: NDArray[np.float32]
    visible: NDArray[np.float32]

    def coordinates(self, size: Size) -> Flow:
        """(x, y) of each pixel in the reference, for pictures of ``size``, (H, W, 2)."""
        return coordinates(self._flow_at(size))

    def sample(self, picture: NDArray[Any]) -> NDArray[Any]:
        """A picture of the reference frame (H, W) or (H, W, C) as it lies in this one, uint8 or float32."""
        return warp(picture, self._flow_at(picture.shape[:2]))

    def _flow_at(self, size: Size) -> Flow:
        # A mask, a keyframe and a frame are sampled at one size: it is worked out once.
        if size not in self._flows:
            self._flows[size] = resize_flow(self.flow, size)
        return self._flows[size]

    @cached_property
    def _flows(self) -> dict[Size, Flow]:
        return {}


@dataclass(frozen=True)
class DriftCorrection:
    """How the chained flow's drift is corrected: it is refined against the reference frame itself, where that helps.

    Errors of single flows add up along the way, a little each; comparing with the reference directly takes them out.

    Attributes:
        coarsest_scale: First level of the search around the chained flow, each level half as large as the one before.
        reach: Largest correction at one frame, in working pixels.
        gain: By how much the photometric error has to fall for a correction to be believed.
        patch_stride: Of this search, as in ``frames.flow.DisFlow``; coarser than between neighbours, and as good.
        descent_iterations: Of this search.
        smoothing_iterations: Of this search.

    Raises:
        ConfigError: If a value is out of its range.
    """

    kind: ClassVar[str] = "drift_correction"

    coarsest_scale: int = 1
    reach: float = 6.0
    gain: float = 2.0
    patch_stride: int | None = 4
    descent_iterations: int | None = 12
    smoothing_iterations: int | None = 1

    def __post_init__(self) -> None:
        for name, fits, expected in (
            ("coarsest_scale", self.coarsest_scale >= 0, "0 or more"),
            ("reach", self.reach > 0, "above 0 pixels"),
            ("gain", self.gain >= 0, "0 or more"),
        ):
            if not fits:
                found = str(getattr(self, name))
                raise ConfigError(f"drift.{name}", found=found, expected=expected, hint="correct it")
        check_search(
            "drift",
            patch_stride=self.patch_stride,
            descent_iterations=self.descent_iterations,
            smoothing_iterations=self.smoothing_iterations,
        )

    def search(self, flow: DisFlow) -> DisFlow:
        """The search for corrections of this flow."""
        return replace(
            flow,
            patch_stride=self.patch_stride,
            descent_iterations=self.descent_iterations,
            smoothing_iterations=self.smoothing_iterations,
        )


@dataclass(frozen=True)
class FlowPropagator:
    """Carries along the flow of one clip.

    Attributes:
        clip: The clip.
        flows: Its flow.
        drift: How drift is corrected; None: not.
        error_sigma: Of the Gaussian that blurs the photometric error, in working pixels.
        relative: Of the forward-backward check, as in ``frames.flow.consistent``.
        absolute: Of the forward-backward check, in square working pixels.
    """

    clip: Clip
    flows: FlowCache
    drift: DriftCorrection | None = DriftCorrection()
    error_sigma: float = 2.0
    relative: float = 0.01
    absolute: float = 0.5

    def propagate(self, path: Sequence[str]) -> Iterator[PropagatedFrame]:
        """Yield each frame of a path but the first, which is the reference; holds few frames at a time.

        Args:
            path: Names of frames, each a neighbour of the one before: forward, backward, or there and back.
        """
        if len(path) < 2:
            return
        frames = self.clip.frames.read_ahead(path, depth=2)
        reference = self._prepared(next(frames)[1])
        flow: Flow | None = None
        visible = np.ones(self.flows.working_size, np.float32)
        for steps, (stem, image) in enumerate(frames, start=1):
            back, forth = self.flows.both_ways(stem, path[steps - 1])
            seen = consistent(back, forth, relative=self.relative, absolute=self.absolute)
            inside = warp(visible, back, border=cv2.BORDER_CONSTANT)
            visible = np.where(seen, inside, np.float32(0))
            flow = back if flow is None else chain(back, flow)
            here = self._prepared(image)
            error = self._error(reference, here, flow)
            if self.drift is not None and steps > 1:
                flow, error = self._corrected(self.drift, reference, here, flow, error)
            yield PropagatedFrame(stem, image, steps, flow, error, visible)

    def astray(self, carried: PropagatedFrame, off: Flow) -> PropagatedFrame:
        """A frame that was carried away and back to itself, as if it had missed its place by a flow (h, w, 2)."""
        itself = self._prepared(carried.image)
        flow = carried.flow + off
        return replace(carried, flow=flow, error=self._error(itself, itself, flow))

    def _prepared(self, image: Image) -> "_Prepared":
        lab = cv2.cvtColor(resize_image(image, self.flows.working_size), cv2.COLOR_RGB2LAB)
        return _Prepared(self.flows.flow.prepare(image), lab)

    def _error(self, reference: "_Prepared", here: "_Prepared", flow: Flow) -> NDArray[np.float32]:
        difference = cv2.absdiff(warp(reference.lab, flow), here.lab)
        error = cv2.transform(difference, np.ones((1, 3), np.float32)).astype(np.float32)
        return cv2.GaussianBlur(error, (0, 0), self.error_sigma) if self.error_sigma > 0 else error

    def _corrected(
        self, drift: DriftCorrection, reference: "_Prepared", here: "_Prepared", flow: Flow, error: NDArray[np.float32]
    ) -> tuple[Flow, NDArray[np.float32]]:
        other = drift.search(self.flows.flow).refined(here.grey, reference.grey, flow, drift.coarsest_scale)
        other_error = self._error(reference, here, other)
        # The larger of two channels, which NumPy finds slowly along the last axis.
        change = np.maximum(*map(np.abs, cv2.split(other - flow)))
        better = (other_error + drift.gain < error) & (change < drift.reach)
        return np.where(better[..., None], other, flow), np.where(better, other_error, error)


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A frame at the working size: (h, w) grey, and (h, w, 3) Lab in 0..255."""

    grey: NDArray[np.uint8]
    lab: NDArray[np.uint8]
