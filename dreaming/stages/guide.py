"""The ``guide`` stage: additional input channels of the style network, drawn for every layer."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from dreaming.artifacts.fingerprint import NO_EFFECT, describe
from dreaming.artifacts.folder import Maker
from dreaming.artifacts.manifest import Manifest
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.guides.base import Guide
from dreaming.guides.storage import GuideFolder, select_guides
from dreaming.io.atomic import discard_unfinished
from dreaming.io.cache_size import announce
from dreaming.stages.base import Stage

log = logging.getLogger(__name__)

SHARE = 0.5
"""Size of a stored guide relative to its values of 8 bits."""


@dataclass
class GuideStage(Stage):
    """Write each selected guide of each layer to ``guides/<layer>/<guide>/``, as images of three channels.

    Attributes:
        available: The guides of the config, by name.
        guides: Names of the guides to draw, and folders with the user's own images.
    """

    name: ClassVar[str] = "guide"
    needs = "keyframes"

    available: Mapping[str, Guide] = field(metadata=NO_EFFECT)
    guides: Sequence[str] = field(default=(), metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        self.selected = select_guides(self.available, self.guides)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Include masks if a selected guide is drawn from them."""
        return (*self.reads, "mask") if any(guide.requires_masks for guide in self.selected.values()) else self.reads

    def skips(self, clip: Clip) -> str | None:
        """Skip a clip without keyframes, or a run without guides."""
        return super().skips(clip) if self.selected else "no guide is selected (guides=)"

    def check(self, clip: Clip) -> None:
        """Check the user's images."""
        for guide in self.selected.values():
            guide.check(clip)

    def run(self, clip: Clip) -> None:
        """Draw missing frames."""
        for layer in clip.layers:
            for name, guide in self.selected.items():
                self._draw(clip, layer, name, guide)

    def _draw(self, clip: Clip, layer: Layer, name: str, guide: Guide) -> None:
        folder = GuideFolder(clip.guides(layer) / name, guide.channels)
        inputs, keys = guide.inputs(clip, layer), {"": f"guide.{name}"}
        manifest = Manifest(self.name, self.version, describe(guide), inputs, keys=keys)

        def begin(stems: list[str]) -> Maker:
            announce(clip.path, f"guide {name}", len(stems), guide.channels * math.prod(clip.size) * SHARE)
            for images in folder.image_folders:
                discard_unfinished(images.path, (f"{stem}.png" for stem in stems))
            return partial(guide.draw, clip, layer)

        self.complete(clip, folder, clip.stems, lambda: manifest, begin)
