"""Temporal filters along the optical flow: of frames, stylised frames and masks."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.clip.clip import Clip
from dreaming.constraints import PositiveFloat, PositiveInt, Workers
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_window import ReadPictures, TemporalWindow, accumulate_flows, dilated_pairs, iter_windows
from dreaming.flow.warp import warp
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image, Probability


@dataclass(frozen=True)
class BilateralFilter:
    """The time-aware bilateral filter of few-shot patch-based training (Texler et al., SIGGRAPH 2020, section 4).

    A pixel becomes the mean of the colours at its positions in the frames around it, each weighted by
    exp(-dt^2 / 2 time_sigma^2 - dc^2 / 2 colour_sigma^2). The authors' program mixes up the weights of past frames;
    here both sides have the same weights, and the mean is rounded instead of truncated.

    Attributes:
        radius: Frames on each side.
        time_sigma: Standard deviation of the Gaussian over time, in frames.
        colour_sigma: Standard deviation of the Gaussian over the RGB distance, in grey levels.
    """

    kind: ClassVar[str] = "bilateral_filter"

    radius: PositiveInt = 15
    time_sigma: PositiveFloat = 5.0
    colour_sigma: PositiveFloat = 27.6
    workers: Workers = field(default=2, metadata=NO_EFFECT)

    def filter(self, clip: Clip, flows: FlowCache, stems: Sequence[str]) -> Iterator[tuple[str, Image]]:
        """Yield each named frame smoothed, in order; compute missing flow.

        A frame's result does not depend on which others are requested.
        """
        flows.complete(dilated_pairs(clip.shots, stems, self.radius), workers=self.workers)
        windows = iter_windows(clip.shots, stems, self.radius, clip.frames.read_ahead, flows)
        yield from prefetch_map(
            lambda w: (w.stem, bilateral_mean(w, self.time_sigma, self.colour_sigma)), windows, self.workers
        )


def bilateral_mean(window: TemporalWindow[Image], time_sigma: float, colour_sigma: float) -> Image:
    """Average the last three channels of images over time, weighted by the similarity of the first three.

    Images are (H, W, 3), or (H, W, 6) if the averaged colours are not those that are compared. ``time_sigma`` is in
    frames, ``colour_sigma`` in grey levels of the RGB distance. The result (H, W, 3) is rounded.
    """
    guide, centre = np.ascontiguousarray(window.picture[..., :3]), window.picture[..., -3:]
    total, weights = centre.astype(np.float32), np.ones(centre.shape[:2], np.float32)
    # A Gaussian over the RGB distance is the product of Gaussians over the channels, so one table suffices.
    similarity = np.exp(-0.5 * np.square(np.arange(256) / colour_sigma)).astype(np.float32)
    for side in window.sides:
        for steps, (neighbour, flow) in enumerate(zip(side, accumulate_flows(side, centre.shape[:2]), strict=True), 1):
            warped = warp(neighbour.picture, flow)
            difference = cv2.absdiff(np.ascontiguousarray(warped[..., :3]), guide)
            red, green, blue = cv2.split(cv2.LUT(difference, similarity))
            nearness = math.exp(-0.5 * (steps / time_sigma) ** 2)
            weight = cv2.multiply(cv2.multiply(red, green), blue, scale=nearness)
            weights += weight
            cv2.accumulateProduct(warped[..., -3:].astype(np.float32), cv2.merge([weight] * 3), total)
    return np.rint(total / weights[..., None]).astype(np.uint8)


@dataclass(frozen=True)
class TemporalBlending:
    """A mean of stylised frames over time, weighted by the similarity of their source frames.

    A pixel becomes the mean of the stylised colours at its positions in the frames around it, each weighted by
    exp(-dt^2 / 2 sigma^2 - dc^2 / 2 colour_sigma^2), where dc is the distance between the *source* colours: the joint
    bilateral filter (Petschnigg et al., "Digital Photography with Flash and No-Flash Image Pairs", SIGGRAPH 2004,
    equation 2) along the flow. Where the flow is wrong or a pixel was occluded, the sources differ and the frame keeps
    its own strokes. Only unblended neighbours are averaged, so a frame depends on ``2 radius + 1`` frames.

    Attributes:
        sigma: Standard deviation of the Gaussian over time, in frames; None: no blending.
        radius: Frames on each side.
        colour_sigma: Standard deviation of the Gaussian over the RGB distance of source colours, in grey levels.
    """

    kind: ClassVar[str] = "temporal_blending"

    flow: DisFlow
    sigma: PositiveFloat | None = None
    radius: PositiveInt = 1
    colour_sigma: PositiveFloat = 10.0
    workers: Workers = field(default=2, metadata=NO_EFFECT)

    def blend(
        self, clip: Clip, sources: FrameFolder, stylise: ReadPictures[Image], stems: Sequence[str]
    ) -> Iterator[tuple[str, Image]]:
        """Yield each named frame blended, in order; the result does not depend on which others are requested.

        ``sources`` are the frames before stylisation; ``stylise`` yields stylised frames, neighbours too.
        """
        if self.sigma is None or len(clip.stems) == 1:
            yield from stylise(list(stems))
            return

        def read(names: list[str]) -> Iterable[tuple[str, NDArray[np.uint8]]]:
            frames = sources.read_ahead(names, depth=2)
            for (stem, source), (_, styled) in zip(frames, stylise(names), strict=True):
                yield stem, np.dstack([source, styled])

        flows = FlowCache(clip, self.flow)
        flows.complete(dilated_pairs(clip.shots, stems, self.radius), workers=self.workers)
        sigma, windows = self.sigma, iter_windows(clip.shots, stems, self.radius, read, flows)
        yield from prefetch_map(lambda w: (w.stem, bilateral_mean(w, sigma, self.colour_sigma)), windows, self.workers)


@dataclass(frozen=True)
class MaskSmoothing:
    """A Gaussian over time against flicker of masks; its weights are renormalised at the ends of a shot.

    Attributes:
        sigma: Standard deviation in frames; None: no smoothing.
        radius: Frames on each side.
        along_flow: Follow each pixel along the optical flow instead of averaging at a fixed position.
    """

    kind: ClassVar[str] = "mask_smoothing"

    flow: DisFlow
    sigma: PositiveFloat | None = None
    radius: PositiveInt = 10
    along_flow: bool = True
    workers: Workers = field(default=2, metadata=NO_EFFECT)

    def smooth(
        self, clip: Clip, predict: ReadPictures[Probability], stems: Sequence[str]
    ) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's mask smoothed, in order; the result does not depend on which others are requested.

        ``predict`` yields masks (H, W) in 0..1, and is asked for neighbouring frames, too.
        """
        flows = None
        if self.along_flow and len(clip.stems) > 1:
            flows = FlowCache(clip, self.flow)
            flows.complete(workers=self.workers)
        windows = iter_windows(clip.shots, stems, self.radius, predict, flows)
        yield from prefetch_map(lambda window: (window.stem, self.mean(window)), windows, self.workers)

    def mean(self, window: TemporalWindow[Probability]) -> Probability:
        """Smooth one mask, (H, W) in 0..1."""
        assert self.sigma is not None, "there is nothing to smooth"
        total, weights = window.picture.astype(np.float32), 1.0
        for side in window.sides:
            flows = accumulate_flows(side, total.shape[:2]) if self.along_flow else repeat(None)
            for steps, (neighbour, flow) in enumerate(zip(side, flows, strict=False), 1):
                weight = math.exp(-0.5 * (steps / self.sigma) ** 2)
                warped = neighbour.picture if flow is None else warp(neighbour.picture, flow)
                cv2.scaleAdd(np.asarray(warped, np.float32), weight, total, total)
                weights += weight
        return total / np.float32(weights)
