"""Temporal blending of stylised frames along the optical flow, against flicker."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.constraints import PositiveFloat, PositiveInt
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import bilateral_mean
from dreaming.flow.temporal_window import ReadPictures, dilated_pairs, iter_windows
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.manifest import NO_EFFECT
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image


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
    workers: PositiveInt = field(default=2, metadata=NO_EFFECT)

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
        flows.complete(dilated_pairs(clip.stems, stems, self.radius), workers=self.workers)
        sigma, windows = self.sigma, iter_windows(clip.stems, stems, self.radius, read, flows)
        yield from prefetch_map(lambda w: (w.stem, bilateral_mean(w, sigma, self.colour_sigma)), windows, self.workers)
