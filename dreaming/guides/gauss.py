"""The Gauss guide: coloured blobs that move with the image, to distinguish similar regions."""

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.clip.layer_masks import LayerMasks
from dreaming.constraints import PositiveFloat, Range, Seed, UnitFloat, Workers
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.guides.base import Channels, Guide
from dreaming.guides.point_tracks import Coverage, PointTracks
from dreaming.guides.points import BLOB_SIGMAS, draw_blobs
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.prefetch import prefetch_map

log = logging.getLogger(__name__)

MIN_LEVEL = 64
"""Smallest level of a blob's channels, so that no blob looks like the black of uncovered pixels."""

POINT_BYTES = 6.0
"""Size in the temporary file of the points of a square of ``radius``, compressed: 5.8 on dance-twirl."""


@dataclass(frozen=True)
class GaussGuide(Guide):
    """Gauss guides of few-shot patch-based training (Texler et al., SIGGRAPH 2020, section 4).

    Points are scattered over the layer in its keyframes, tracked along the optical flow in both directions, and drawn
    as blobs over black. A frame in which too much of the layer stays black receives new points in its holes.

    Attributes:
        masks: The masks that define the layer.
        radius: Smallest distance between new points, in pixels.
        sigma: Width of the blobs in pixels: exp(-distance^2 / sigma^2).
        max_hole: Largest share of the layer that may stay black in a frame.
        name: This guide's key in the config, for messages: two Gauss guides may be used together.
    """

    kind: ClassVar[str] = "gauss_guide"
    channels: ClassVar[int] = 3
    requires_masks: ClassVar[bool] = True

    flow: DisFlow
    masks: LayerMasks = field(metadata=NO_EFFECT)
    radius: Annotated[float, Range(ge=1, le=1000)] = 10.0
    sigma: PositiveFloat = 10.0
    max_hole: UnitFloat = 0.03
    seed: Seed = 0
    workers: Workers = field(default=2, metadata=NO_EFFECT)
    name: str = field(default="gauss", metadata=NO_EFFECT)

    def inputs(self, clip: Clip, layer: Layer) -> dict[str, str]:
        """The frames, the layer's masks, and which frames are keyframes; not how these are stylised."""
        keyframes = ", ".join(clip.keyframe_folder(layer).stems)
        masks = self.masks.fingerprint(clip, layer, f"guide.{self.name}.masks.masker")
        return {"frames": clip.sequence_fingerprint, "masks": masks, "keys": keyframes}

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's blobs, (H, W, 3), in order."""
        flows, size = FlowCache(clip, self.flow), clip.size
        flows.complete(workers=self.workers)
        points_size = POINT_BYTES * math.prod(size) / self.radius**2
        with DiskBuffer(clip.path, "points of blobs", len(clip.stems), points_size) as buffer:
            tracks = PointTracks(clip.stems, size, flows, buffer)
            keyframes, mask_of = set(clip.keyframe_folder(layer).stems), self.masks.reader(clip, layer)
            for shot in clip.shots:
                starts = [stem for stem in shot if stem in keyframes] or shot[:1]
                tracks.cover(shot, starts, mask_of, self._coverage)
            title = f"guide {self.name} of layer {layer.name}"
            log.debug("%s: %d points, added in frames %s", title, tracks.count, _abbreviated(tracks.key_stems))
            if tracks.uncovered:
                log.warning(
                    "%s: more than max_hole stays black in frames %s, because the blobs are too narrow (sigma %g) for"
                    " the distance of the points (radius %g); raise guide.%s.sigma or lower guide.%s.radius",
                    title, _abbreviated(tracks.uncovered), self.sigma, self.radius, self.name, self.name,
                )  # fmt: skip
            colours = np.random.default_rng(self.seed).integers(MIN_LEVEL, 256, (tracks.count, 3)).astype(np.uint8)
            points = ((stem, tracks.points(stem)) for stem in stems)
            yield from prefetch_map(
                lambda frame: (frame[0], draw_blobs(frame[1].positions, colours[frame[1].ids], self.sigma, size)),
                points,
                self.workers,
            )

    @property
    def _coverage(self) -> Coverage:
        # Within this distance even the darkest blob is brighter than black.
        reach = self.sigma * math.sqrt(math.log(MIN_LEVEL))
        return Coverage(self.radius, reach, BLOB_SIGMAS * self.sigma, self.max_hole, self.seed)


def _abbreviated(stems: list[str]) -> str:
    return ", ".join(stems[:6]) + (f" and {len(stems) - 6} more" if len(stems) > 6 else "")
