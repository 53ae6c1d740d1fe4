"""The ``filter`` stage: temporally smoothed frames, on which a style is trained and applied with less flicker."""

import math
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from dreaming.artifacts.folder import Maker
from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import BilateralFilter
from dreaming.io.cache_size import announce
from dreaming.stages.base import Stage

BYTES = 1.5
"""Size of a stored frame per pixel; measured on clips of DAVIS and lynx: 1.0 to 1.5."""


@dataclass
class FilterStage(Stage):
    """Write every frame, smoothed over time along the optical flow, to ``filtered/``."""

    name: ClassVar[str] = "filter"

    flow: DisFlow
    bilateral: BilateralFilter = field(default_factory=BilateralFilter)

    def run(self, clip: Clip) -> None:
        """Smooth missing frames."""
        manifest = self.manifest(frames=clip.sequence_fingerprint)

        def begin(stems: list[str]) -> Maker:
            announce(clip.path, "filtered", len(stems), BYTES * math.prod(clip.size))
            return partial(self.bilateral.filter, clip, FlowCache(clip, self.flow))

        self.complete(clip, clip.filtered, clip.stems, lambda: manifest, begin)
