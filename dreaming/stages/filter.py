"""The ``filter`` stage: frames rid of noise along time, from which a style is learnt and applied with less flicker."""

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
    """Write every frame, filtered along the flow, to ``filtered/``.

    Attributes:
        flow: How flow is computed.
        bilateral: The filter.
    """

    kind: ClassVar[str] = "filter_stage"

    name: ClassVar[str] = "filter"
    reads: ClassVar[tuple[str, ...]] = ("extract",)

    flow: DisFlow
    bilateral: BilateralFilter = field(default_factory=BilateralFilter)

    def skips(self, clip: Clip) -> str | None:
        """There is always something to filter."""
        return None

    def run(self, clip: Clip) -> None:
        """Filter the frames that are missing."""
        manifest = self.manifest(frames=clip.frames_fingerprint)

        def begin(stems: list[str]) -> Maker:
            flows = FlowCache(clip, self.flow)
            flows.complete(self.bilateral.pairs(clip, stems), workers=self.writers)
            return partial(self.bilateral.filter, clip, flows)

        self.complete(clip, clip.filtered, clip.stems, lambda: manifest, begin)
