"""The position guide: where in the frame a pixel lies."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.guides.base import Channels, Guide
from dreaming.io.manifest import fingerprint


@dataclass(frozen=True)
class PositionGuide(Guide):
    """Tells places apart in a scene that does not move; x and y, each rising from 0 to 255 across the frame."""

    kind: ClassVar[str] = "position_guide"

    @property
    def channels(self) -> int:
        """X and y."""
        return 2

    def inputs(self, clip: Clip, layer: Layer) -> dict[str, str]:
        """The frames' size."""
        return {"size": fingerprint(clip.size)}

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield the same picture (H, W, 2) for each named frame."""
        down, across = (np.rint(np.linspace(0, 255, side)).astype(np.uint8) for side in clip.size)
        position = np.dstack(np.meshgrid(across, down))
        for stem in stems:
            yield stem, position
