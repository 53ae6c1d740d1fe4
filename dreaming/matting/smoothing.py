"""Smoothing of alpha mattes over time, along the optical flow."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

import cv2
import numpy as np

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.clip.clip import Clip
from dreaming.constraints import PositiveFloat, PositiveInt, Workers
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_window import ReadPictures, TemporalWindow, accumulate_flows, dilated_pairs, iter_windows
from dreaming.flow.warp import warp
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image, Probability

FrameMatte: TypeAlias = tuple[Image, Probability]
"""A frame (H, W, 3) and its alpha matte (H, W)."""


@dataclass(frozen=True)
class MatteSmoothing:
    """A mean of each pixel's opacity along the optical flow, weighted by nearness in time and similarity of colours.

    The weight is exp(-dt^2 / 2 sigma^2 - dc^2 / 2 colour_sigma^2), so where the flow is wrong, or hair covers a pixel
    only now and then, the colours differ and the pixel keeps its own opacity.

    Attributes:
        sigma: Standard deviation of the Gaussian over time, in frames; None: no smoothing.
        radius: Frames on each side.
        colour_sigma: Standard deviation of the Gaussian over the RGB distance, in grey levels.
    """

    kind: ClassVar[str] = "matte_smoothing"

    flow: DisFlow
    sigma: PositiveFloat | None = 1.5
    radius: PositiveInt = 2
    colour_sigma: PositiveFloat = 14.0
    workers: Workers = field(default=2, metadata=NO_EFFECT)

    def smooth(
        self, clip: Clip, refine: ReadPictures[FrameMatte], stems: Sequence[str]
    ) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's matte smoothed, in order; the result does not depend on which others are requested.

        ``refine`` yields frames with their mattes, and is asked for neighbouring frames, too.
        """
        if self.sigma is None or len(clip.stems) == 1:
            yield from ((stem, matte) for stem, (_, matte) in refine(list(stems)))
            return
        flows = FlowCache(clip, self.flow)
        flows.complete(dilated_pairs(clip.shots, stems, self.radius), workers=self.workers)
        windows = iter_windows(clip.shots, stems, self.radius, refine, flows)
        yield from prefetch_map(lambda window: (window.stem, self.mean(window)), windows, self.workers)

    def mean(self, window: TemporalWindow[FrameMatte]) -> Probability:
        """Smooth one matte, (H, W) in 0..1."""
        assert self.sigma is not None, "there is nothing to smooth"
        image, matte = window.picture
        total, weights = matte.copy(), np.ones_like(matte)
        # A Gaussian over the RGB distance is the product of Gaussians over the channels, so one table suffices.
        similarity = np.exp(-0.5 * np.square(np.arange(256) / self.colour_sigma)).astype(np.float32)
        for side in window.sides:
            for steps, (neighbour, flow) in enumerate(zip(side, accumulate_flows(side, matte.shape), strict=True), 1):
                other, opacity = neighbour.picture
                red, green, blue = cv2.split(cv2.LUT(cv2.absdiff(warp(other, flow), image), similarity))
                weight = red * green * blue * np.float32(math.exp(-0.5 * (steps / self.sigma) ** 2))
                total += weight * warp(opacity, flow)
                weights += weight
        return total / weights
