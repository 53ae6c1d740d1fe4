"""Stylised frames blended with their neighbours along the flow, against flicker."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import bilateral_mean
from dreaming.flow.temporal_window import Read, TemporalWindow, check_window, dilated_pairs, iter_windows
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.manifest import NO_EFFECT
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image


@dataclass(frozen=True)
class TemporalBlending:
    """A mean of stylised frames over time, weighted by how well the frames under them agree.

    A pixel becomes the mean of the stylised colours at the places where it lies in the frames around it, each weighted
    by exp(-dt^2 / 2 sigma^2 - dc^2 / 2 colour_sigma^2), where dc is the distance between the *source* colours there and
    here: the joint bilateral filter (Petschnigg et al., "Digital Photography with Flash and No-Flash Image Pairs",
    SIGGRAPH 2004, equation 2) along the flow. Where the flow is wrong or something was hidden the sources differ, and
    the frame keeps its own strokes. Always the unblended neighbours are taken, so that a frame depends on
    ``2 radius + 1`` frames alone.

    Attributes:
        flow: How flow is computed.
        sigma: Of the Gaussian over frames, in frames; None: no blending.
        radius: Frames before and behind that are looked at.
        colour_sigma: Of the Gaussian over the distance between source colours in RGB, in grey levels.
        workers: Frames blended at once.
    """

    kind: ClassVar[str] = "temporal_blending"

    flow: DisFlow
    sigma: float | None = None
    radius: int = 1
    colour_sigma: float = 10.0
    workers: int = field(default=2, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        if self.sigma is not None:
            sigmas = {"sigma": self.sigma, "colour_sigma": self.colour_sigma}
            check_window("stage.stylise.blend", self.radius, **sigmas)

    def blend(
        self, clip: Clip, sources: FrameFolder, stylise: Read[Image], stems: Sequence[str]
    ) -> Iterator[tuple[str, Image]]:
        """Yield each named frame blended, in order, the same whatever else is asked for; holds one window of frames.

        Args:
            clip: The clip.
            sources: The frames that are stylised.
            stylise: Gives the stylised frames of these names; those around the ones asked for are asked of it.
            stems: Names of frames, in order.
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
        windows = iter_windows(clip.stems, stems, self.radius, read, flows)
        yield from prefetch_map(lambda around: (around.stem, self.mean(around)), windows, self.workers)

    def mean(self, around: TemporalWindow[NDArray[np.uint8]]) -> Image:
        """One stylised frame blended, (H, W, 3) RGB, of pictures (H, W, 6): source and stylised."""
        assert self.sigma is not None, "there is nothing to blend"
        return bilateral_mean(around, self.sigma, self.colour_sigma)
