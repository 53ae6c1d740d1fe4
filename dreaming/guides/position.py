"""The position guide: coordinates of each pixel in the frame."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dreaming.artifacts.fingerprint import fingerprint
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.guides.base import Channels, ImageGuide
from dreaming.io.types import Image, Size


@dataclass(frozen=True)
class PositionGuide(ImageGuide):
    """X and y, from 0 to 255 across the frame, to distinguish similar regions of a static scene."""

    kind: ClassVar[str] = "position_guide"
    channels: ClassVar[int] = 2

    def inputs(self, clip: Clip, layer: Layer) -> dict[str, str]:
        """The size of the frames."""
        return {"size": fingerprint(clip.size)}

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield the same coordinates (H, W, 2) for each named frame."""
        coordinates = _coordinates(clip.size)
        for stem in stems:
            yield stem, coordinates

    def draw_image(self, image: Image) -> Channels:
        """Coordinates (H, W, 2) of an image's pixels."""
        return _coordinates((image.shape[0], image.shape[1]))


def _coordinates(size: Size) -> Channels:
    y, x = (np.rint(np.linspace(0, 255, side)).astype(np.uint8) for side in size)
    return np.dstack(np.meshgrid(x, y))
