"""What is averaged over time: colours by the time-aware bilateral filter, masks by a Gaussian over frames."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import ClassVar

import cv2
import numpy as np

from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_window import Read, TemporalWindow, check_window, dilated_pairs, followed, iter_windows
from dreaming.flow.warp import warp
from dreaming.io.manifest import NO_EFFECT
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image, Probability


@dataclass(frozen=True)
class BilateralFilter:
    """The time-aware bilateral filter of few-shot patch-based training (Texler et al., SIGGRAPH 2020, section 4).

    A pixel becomes the mean of the colours found at the places where it lies in the frames around it, each weighted by
    exp(-dt^2 / 2 time_sigma^2 - dc^2 / 2 colour_sigma^2). The authors' program gives a past frame the weight of
    another one; here both sides are weighted alike, and the mean is rounded, not cut off.

    Attributes:
        radius: Frames before and behind that are looked at.
        time_sigma: Of the Gaussian over frames.
        colour_sigma: Of the Gaussian over the distance between colours in RGB, in grey levels.
        workers: Frames filtered at once.
    """

    kind: ClassVar[str] = "bilateral_filter"

    radius: int = 15
    time_sigma: float = 5.0
    colour_sigma: float = 27.6
    workers: int = field(default=2, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        sigmas = {"time_sigma": self.time_sigma, "colour_sigma": self.colour_sigma}
        check_window("stage.filter.bilateral", self.radius, **sigmas)

    def filter(self, clip: Clip, flows: FlowCache, stems: Sequence[str]) -> Iterator[tuple[str, Image]]:
        """Yield each named frame filtered, in order, the same whatever else is asked for; holds one window of frames.

        Args:
            clip: The clip.
            flows: Its flow, complete for ``pairs`` of these frames.
            stems: Names of frames, in order.
        """
        windows = iter_windows(clip.stems, stems, self.radius, clip.frames.read_ahead, flows)
        yield from prefetch_map(lambda around: (around.stem, self.mean(around)), windows, self.workers)

    def pairs(self, clip: Clip, stems: Sequence[str]) -> list[str]:
        """Names of the pairs of neighbours along whose flow these frames are filtered."""
        return dilated_pairs(clip.stems, stems, self.radius)

    def mean(self, around: TemporalWindow[Image]) -> Image:
        """One frame filtered, (H, W, 3) RGB."""
        return bilateral_mean(around, self.time_sigma, self.colour_sigma)


def bilateral_mean(around: TemporalWindow[Image], time_sigma: float, colour_sigma: float) -> Image:
    """Mean over time of a picture's last three channels, weighted by how alike its first three are.

    Args:
        around: Pictures (H, W, 3), or (H, W, 6) where other colours than those averaged tell how alike they are.
        time_sigma: Of the Gaussian over frames.
        colour_sigma: Of the Gaussian over the distance between colours, in grey levels.

    Returns:
        (H, W, 3), rounded.
    """
    guide, centre = np.ascontiguousarray(around.picture[..., :3]), around.picture[..., -3:]
    total, weights = centre.astype(np.float32), np.ones(centre.shape[:2], np.float32)
    # The Gaussian over a distance in RGB is the product of those over the channels' differences: a table serves.
    alike = np.exp(-0.5 * np.square(np.arange(256) / colour_sigma)).astype(np.float32)
    for side in around.sides:
        for steps, (neighbour, flow) in enumerate(zip(side, followed(side, centre.shape[:2]), strict=True), 1):
            found = warp(neighbour.picture, flow)
            apart = cv2.absdiff(np.ascontiguousarray(found[..., :3]), guide)
            red, green, blue = cv2.split(cv2.LUT(apart, alike))
            near = math.exp(-0.5 * (steps / time_sigma) ** 2)
            weight = cv2.multiply(cv2.multiply(red, green), blue, scale=near)
            weights += weight
            cv2.accumulateProduct(found[..., -3:].astype(np.float32), cv2.merge([weight] * 3), total)
    return np.rint(total / weights[..., None]).astype(np.uint8)


@dataclass(frozen=True)
class MaskSmoothing:
    """A Gaussian over frames, for masks that flicker; its weights are renormalised at the clip's ends.

    Attributes:
        flow: How flow is computed.
        sigma: Of the Gaussian, in frames; None: no smoothing.
        radius: Frames before and behind that are looked at.
        along_flow: Follow each pixel along the flow; else what stands at the same place is averaged.
        workers: Frames smoothed at once.
    """

    kind: ClassVar[str] = "mask_smoothing"

    flow: DisFlow
    sigma: float | None = None
    radius: int = 10
    along_flow: bool = True
    workers: int = field(default=2, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        if self.sigma is not None:
            check_window("stage.mask.smooth", self.radius, sigma=self.sigma)

    def smooth(self, clip: Clip, predict: Read[Probability], stems: Sequence[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's mask averaged, in order, the same whatever else is asked for; holds one window.

        Args:
            clip: The clip.
            predict: Gives the masks of named frames, (H, W) in 0..1; those around the ones asked for are asked of it.
            stems: Names of frames, in order.
        """
        flows = None
        if self.along_flow and len(clip.stems) > 1:
            flows = FlowCache(clip, self.flow)
            flows.complete(workers=self.workers)
        windows = iter_windows(clip.stems, stems, self.radius, predict, flows)
        yield from prefetch_map(lambda around: (around.stem, self.mean(around)), windows, self.workers)

    def mean(self, around: TemporalWindow[Probability]) -> Probability:
        """One mask averaged, (H, W) in 0..1."""
        assert self.sigma is not None, "there is nothing to smooth"
        total, weights = around.picture.astype(np.float32), 1.0
        for side in around.sides:
            flows = followed(side, total.shape[:2]) if self.along_flow else repeat(None)
            for steps, (neighbour, flow) in enumerate(zip(side, flows, strict=False), 1):
                weight = math.exp(-0.5 * (steps / self.sigma) ** 2)
                found = neighbour.picture if flow is None else warp(neighbour.picture, flow)
                cv2.scaleAdd(np.asarray(found, np.float32), weight, total, total)
                weights += weight
        return total / np.float32(weights)
