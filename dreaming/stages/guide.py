"""The ``guide`` stage: what the style network sees beside the frame, drawn for every layer."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.guides.base import Guide
from dreaming.guides.storage import GuideFolder, select_guides
from dreaming.io.atomic import discard_unfinished
from dreaming.io.manifest import NO_EFFECT, Manifest, describe
from dreaming.stages.base import Maker, Stage

log = logging.getLogger(__name__)


@dataclass
class GuideStage(Stage):
    """Write each chosen guide of each layer to ``guides/<layer>/<guide>/``, as pictures of three channels.

    Attributes:
        available: The guides that the config knows, by name.
        guides: Those to draw: names of available ones, and folders of pictures of the user's own.
    """

    kind: ClassVar[str] = "guide_stage"

    name: ClassVar[str] = "guide"
    reads: ClassVar[tuple[str, ...]] = ("extract",)

    available: Mapping[str, Guide] = field(metadata=NO_EFFECT)
    guides: Sequence[str] = field(default=(), metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        self.chosen = select_guides(self.available, self.guides)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Masks are made first where a chosen guide is drawn from them."""
        return (*self.reads, "mask") if any(guide.requires_masks for guide in self.chosen.values()) else self.reads

    def skips(self, clip: Clip) -> str | None:
        """Guides are drawn for layers, and only those that were chosen."""
        if not self.chosen:
            return "no guide is chosen (stage.guide.guides)"
        return None if clip.layers else "the clip has no keyframes"

    def run(self, clip: Clip) -> None:
        """Draw the frames that are missing."""
        for layer in clip.layers:
            for name, guide in self.chosen.items():
                self._draw(clip, layer, name, guide)

    def _draw(self, clip: Clip, layer: Layer, name: str, guide: Guide) -> None:
        folder = GuideFolder(clip.guides(layer) / name, guide.channels)
        manifest = Manifest(self.name, self.version, describe(guide), guide.inputs(clip, layer))

        def begin(stems: list[str]) -> Maker:
            for pictures in folder.pictures:
                discard_unfinished(pictures.path, (f"{stem}.png" for stem in stems))
            return partial(guide.draw, clip, layer)

        self.complete(clip, folder, clip.stems, lambda: manifest, begin)
