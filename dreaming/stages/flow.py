"""The ``flow`` stage: optical flow of all neighbouring frames, for whatever carries something along it."""

from dataclasses import dataclass
from typing import ClassVar

from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.stages.base import Stage


@dataclass
class FlowStage(Stage):
    """Write the flow between every frame and the next, both ways, to ``flow/``.

    Who needs flow sees to it by itself; the stage is there to make it beforehand, or on several machines.

    Attributes:
        flow: How flow is computed.
    """

    kind: ClassVar[str] = "flow_stage"

    name: ClassVar[str] = "flow"
    reads: ClassVar[tuple[str, ...]] = ("extract",)

    flow: DisFlow

    def skips(self, clip: Clip) -> str | None:
        """A single frame does not move."""
        return None if len(clip.stems) > 1 else "the clip has one frame"

    def run(self, clip: Clip) -> None:
        """Compute the pairs of this shard that are missing."""
        cache = FlowCache(clip, self.flow)
        share = self.shard.take(cache.pairs)
        self.frames_needed += len(share)
        self.frames_made += cache.complete(share, workers=self.writers)
