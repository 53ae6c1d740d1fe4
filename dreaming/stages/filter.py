"""The ``filter`` stage: temporally smoothed frames, on which a style is trained and applied with less flicker."""

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import BilateralFilter
from dreaming.stages.base import Maker, Stage


@dataclass
class FilterStage(Stage):
    """Write every frame, smoothed over time along the optical flow, to ``filtered/``.

    Attributes:
        flow: Optical flow.
        bilateral: The filter.
    """

    kind: ClassVar[str] = "filter_stage"

    name: ClassVar[str] = "filter"
    reads: ClassVar[tuple[str, ...]] = ("extract",)

    flow: DisFlow
    bilateral: BilateralFilter = field(default_factory=BilateralFilter)

    def skips(self, clip: Clip) -> str | None:
        """Never skip."""
        return None

    def run(self, clip: Clip) -> None:
        """Smooth missing frames."""
        manifest = self.manifest(frames=clip.frames_fingerprint)

        def begin(stems: list[str]) -> Maker:
            flows = FlowCache(clip, self.flow)
            flows.complete(self.bilateral.pairs(clip, stems), workers=self.writers)
            return partial(self.bilateral.filter, clip, flows)

        self.complete(clip, clip.filtered, clip.stems, lambda: manifest, begin)
