"""The ``live`` stage: train each layer's style for frames that arrive one by one."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.clip.clip import Clip
from dreaming.live.choice import GUIDES, NAME, SMOOTHED
from dreaming.models.style_task import StyleTask
from dreaming.stages.base import Stage
from dreaming.training.context import TrainingContext

log = logging.getLogger(__name__)


@dataclass
class LiveStage(Stage):
    """Train a style per layer in ``runs/style-live/``, without the inputs that are computed from the whole clip.

    The clip's own style and stylised frames stay as they are.

    Attributes:
        task: Training of the clip's style.
    """

    name: ClassVar[str] = "live"
    needs = "keyframes"

    task: StyleTask = field(metadata=NO_EFFECT)
    context: TrainingContext = field(metadata=NO_EFFECT)

    @property
    def live_task(self) -> StyleTask:
        """The training without inputs from the whole clip."""
        guides = {name: guide for name, guide in self.task.guides.items() if _is_drawn_of_one_frame(guide)}
        return replace(self.task, name=NAME, guides=guides, filtered=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Include masks if the training is restricted to the layer's region."""
        return (*self.reads, *self.task.mask_stages)

    def check(self, clip: Clip) -> None:
        """Check the keyframes."""
        for layer in clip.layers:
            clip.masked_keyframes(layer).check(clip.frames, clip.size)

    def run(self, clip: Clip) -> None:
        """Train the layers whose style is not up to date."""
        task = self.live_task
        if excluded := list(self._excluded()):
            log.info(
                "live: trained without %s, because live view has no whole clip to compute them from",
                ", ".join(excluded),
            )
        for layer in clip.layers:
            done = task.find(clip, layer, self.context) is not None
            best = task.find_or_train(clip, layer, self.context)
            log.info("live: %s: %s %s", layer.name, "up to date," if done else "ready,", best.folder)

    def _excluded(self) -> Iterator[str]:
        yield from (name for name, guide in self.task.guides.items() if not _is_drawn_of_one_frame(guide))
        if self.task.filtered:
            yield SMOOTHED


def _is_drawn_of_one_frame(guide: object) -> bool:
    return type(guide) in GUIDES.values()
