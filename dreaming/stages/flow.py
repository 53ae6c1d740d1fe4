"""The ``flow`` stage: optical flow between all neighbouring frames."""

from dataclasses import dataclass
from typing import ClassVar

from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.stages.base import Stage


@dataclass
class FlowStage(Stage):
    """Write the optical flow between every frame and the next, in both directions, to ``flow/``.

    Other stages compute the flow that they need themselves. This one computes it in advance, or on several machines.
    """

    name: ClassVar[str] = "flow"

    flow: DisFlow

    def skips(self, clip: Clip) -> str | None:
        """Skip a clip of one frame."""
        return None if len(clip.stems) > 1 else "the clip has one frame"

    def run(self, clip: Clip) -> None:
        """Compute the missing pairs of this shard."""
        cache = FlowCache(clip, self.flow)
        share = self.shard.take(cache.pairs)
        self.frames_needed += len(share)
        self.frames_made += cache.complete(share, workers=self.writers)
