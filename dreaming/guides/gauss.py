"""The Gauss guide: blobs of fixed colours that move with what they lie on, so that like places can be told apart."""

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.clip.layer_masks import LayerMasks
from dreaming.errors import ConfigError
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.guides.base import Channels, Guide
from dreaming.guides.point_tracks import Cover, PointTracks
from dreaming.guides.points import REACH, draw_blobs
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.manifest import NO_EFFECT
from dreaming.io.prefetch import prefetch_map

log = logging.getLogger(__name__)

FAINTEST = 64
"""Least level of a blob's channels, that no blob is taken for the black of uncovered places."""


@dataclass(frozen=True)
class GaussGuide(Guide):
    """Gauss guides of few-shot patch-based training (Texler et al., SIGGRAPH 2020, section 4).

    Points are strewn over the layer in its keyframes, carried along the flow both ways, and drawn as blobs over black.
    A frame that is left with too much black becomes a key frame, too: points are born in its holes.

    Attributes:
        flow: How flow is computed.
        masks: Which masks cut out the layer.
        radius: Least distance between points where they are born, in pixels.
        sigma: Of the blobs, in pixels: exp(-distance^2 / sigma^2).
        max_hole: Largest share of the layer that may stay black in any frame.
        seed: Of places and colours.
        workers: Frames drawn at once.
        name: Of its node in the config, for messages.
    """

    kind: ClassVar[str] = "gauss_guide"

    flow: DisFlow
    masks: LayerMasks = field(metadata=NO_EFFECT)
    radius: float = 10.0
    sigma: float = 10.0
    max_hole: float = 0.03
    seed: int = 0
    workers: int = field(default=2, metadata=NO_EFFECT)
    name: str = field(default="gauss", metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        for name, fits, expected in (
            ("radius", self.radius >= 1, "1 pixel or more"),
            ("sigma", self.sigma > 0, "above 0"),
            ("max_hole", 0 <= self.max_hole <= 1, "0 to 1"),
        ):
            if not fits:
                found = str(getattr(self, name))
                raise ConfigError(f"guide.{self.name}.{name}", found=found, expected=expected, hint="correct it")

    @property
    def requires_masks(self) -> bool:
        """Points lie on the layer, which its masks cut out."""
        return True

    @property
    def channels(self) -> int:
        """Red, green and blue."""
        return 3

    def inputs(self, clip: Clip, layer: Layer) -> dict[str, str]:
        """The frames, the layer's masks, and which frames are keyframes; not how they are painted."""
        keys = ", ".join(clip.keyframe_folder(layer).stems)
        masks = self.masks.fingerprint(clip, layer, f"guide.{self.name}.masks.masker")
        return {"frames": clip.frames_fingerprint, "masks": masks, "keys": keys}

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's blobs, (H, W, 3), in order."""
        flows, size = FlowCache(clip, self.flow), clip.size
        flows.complete(workers=self.workers)
        with DiskBuffer(clip.path) as buffer:
            tracks = PointTracks(clip.stems, size, flows, buffer)
            keys = [stem for stem in clip.keyframe_folder(layer).stems if stem in clip.frames] or clip.stems[:1]
            tracks.fill(keys, self.masks.reader(clip, layer), self._cover)
            title, births = f"{self.name} guide of {layer.name}", _few(tracks.births)
            log.info("%s: %d points, born in frames %s", title, tracks.count, births)
            if tracks.bare:
                log.warning(
                    "%s: more than max_hole stays black in frames %s: blobs of sigma %g are too small"
                    " for points %g pixels apart; raise guide.%s.sigma or lower guide.%s.radius",
                    title, _few(tracks.bare), self.sigma, self.radius, self.name, self.name,
                )  # fmt: skip
            colours = np.random.default_rng(self.seed).integers(FAINTEST, 256, (tracks.count, 3)).astype(np.uint8)
            points = ((stem, tracks.at(stem)) for stem in stems)
            yield from prefetch_map(
                lambda one: (one[0], draw_blobs(one[1].places, colours[one[1].numbers], self.sigma, size)),
                points,
                self.workers,
            )

    @property
    def _cover(self) -> Cover:
        # Up to here even the faintest blob is brighter than black.
        reach = self.sigma * math.sqrt(math.log(FAINTEST))
        return Cover(self.radius, reach, REACH * self.sigma, self.max_hole, self.seed)


def _few(stems: list[str]) -> str:
    return ", ".join(stems[:6]) + (f" and {len(stems) - 6} more" if len(stems) > 6 else "")
