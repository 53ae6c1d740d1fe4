"""The canvas guide: strokes and grain that lie at the same place of every picture, whatever is painted there."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.errors import ConfigError
from dreaming.guides.base import Channels, Guide
from dreaming.imaging.guided_filter import guided_filter
from dreaming.io.manifest import NO_EFFECT
from dreaming.io.types import Image

log = logging.getLogger(__name__)

NOTHING = 128
"""Level of a channel where there is no stroke."""


@dataclass(frozen=True)
class StaticTextureGuide(Guide):
    """What the keyframes' painting has, beyond what the frames under it explain, at the same place in all of them.

    Paper, canvas and the strokes of many filters stay where they are while the picture moves under them; a network that
    sees nothing but the picture can only leave them out. What a keyframe's frame does not explain of its brightness, by
    the guided filter, is averaged over the keyframes and drawn about a middle grey; every frame sees the same.

    In training a keyframe sees the mean of the others. If that does not foretell what it has itself, or there are no
    others, there is no such canvas, and all is grey.

    Attributes:
        radius: Of the guided filter's window, in pixels: what is finer is taken for strokes.
        contrast: Variance of grey, in 0..1, from which on what a frame shows explains what is painted there.
        full: Levels off the mean that are drawn black and white.
        least: Correlation of a keyframe's strokes with the others' from which on a canvas is believed in.
        name: Of its node in the config, for messages.
    """

    kind: ClassVar[str] = "static_texture_guide"

    radius: int = 3
    contrast: float = 2.0e-4
    full: float = 40.0
    least: float = 0.05
    name: str = field(default="canvas", metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        for name, fits, expected in (
            ("radius", self.radius >= 1, "1 pixel or more"),
            ("contrast", self.contrast > 0, "above 0"),
            ("full", self.full > 0, "above 0"),
            ("least", -1 <= self.least <= 1, "-1 to 1"),
        ):
            if not fits:
                found = str(getattr(self, name))
                raise ConfigError(f"guide.{self.name}.{name}", found=found, expected=expected, hint="correct it")

    @property
    def channels(self) -> int:
        """How much brighter or darker."""
        return 1

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield the canvas, (H, W, 1), for each named frame, in order."""
        canvas = _Canvas(self, clip, layer)
        drawn = self._drawn(canvas.of_all() if canvas.foretells() > self.least else None, clip)
        yield from ((stem, drawn) for stem in stems)

    def training_examples(
        self, clip: Clip, layer: Layer, stems: Iterable[str], seed: int
    ) -> Iterator[tuple[str, Channels]]:
        """Yield each keyframe's canvas, as the others know it."""
        canvas = _Canvas(self, clip, layer)
        correlation = canvas.foretells()
        there = correlation > self.least
        log.info(
            "strokes that stay in place: keyframes foretell each other's by %.2f (correlation), so that they are %s",
            correlation,
            "shown" if there else "not shown",
        )
        yield from ((stem, self._drawn(canvas.without(stem) if there else None, clip)) for stem in stems)

    def _drawn(self, strokes: NDArray[np.float32] | None, clip: Clip) -> Channels:
        if strokes is None:
            return np.full((*clip.size, self.channels), NOTHING, np.uint8)
        return np.clip(np.rint(NOTHING + 127 / self.full * strokes), 1, 255).astype(np.uint8)[..., None]

    def strokes(self, painted: Image, frame: Image) -> NDArray[np.float32]:
        """What of a painting (H, W, 3) the frame under it does not explain, in levels, (H, W)."""
        grey = cv2.cvtColor(painted, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        unexplained = 255 * (grey - guided_filter(grey, frame, self.radius, self.contrast))
        return np.clip(unexplained, -self.full, self.full)


class _Canvas:
    """The strokes of all keyframes of a layer, of which one can be left out."""

    def __init__(self, guide: StaticTextureGuide, clip: Clip, layer: Layer) -> None:
        self._guide, self._keyframes = guide, clip.keyframes(layer)
        self._places = {stem: place for place, stem in enumerate(self._keyframes.stems)}
        everyone = [self._of(stem) for stem in self._places]
        self._sum: NDArray[np.float32] = np.stack(everyone).sum(axis=0)
        self._count = self._keyframes.masks.sum(axis=0, dtype=np.float32)
        each = zip(everyone, self._keyframes.masks, strict=True)
        self._height = float(np.mean([_deviation(strokes, mask) for strokes, mask in each]))

    def of_all(self) -> NDArray[np.float32]:
        """The mean of all keyframes' strokes, as strong as one keyframe's are: means of unlike ones are fainter."""
        return self._mean(self._sum, self._count)

    def without(self, stem: str) -> NDArray[np.float32]:
        """Alike, of all keyframes but one."""
        mask = self._keyframes.masks[self._places[stem]]
        return self._mean(self._sum - self._of(stem), self._count - mask)

    def foretells(self) -> float:
        """Mean correlation of each keyframe's strokes with the canvas of the others; 0 where there are none."""
        found = []
        for stem, place in self._places.items():
            mask = self._keyframes.masks[place]
            both = mask & (self._count - mask > 0)
            one, other = self._of(stem)[both], self.without(stem)[both]
            if one.size and one.std() > 0 and other.std() > 0:
                found.append(np.corrcoef(one, other)[0, 1])
        return float(np.mean(found)) if found else 0.0

    def _of(self, stem: str) -> NDArray[np.float32]:
        """One keyframe's strokes, none where it is not painted."""
        place = self._places[stem]
        keyframes = self._keyframes
        strokes = self._guide.strokes(keyframes.styled[place], keyframes.sources[place])
        return np.where(keyframes.masks[place], strokes, np.float32(0))

    def _mean(self, strokes: NDArray[np.float32], count: NDArray[np.float32]) -> NDArray[np.float32]:
        mean = (strokes / np.maximum(count, 1)).astype(np.float32)
        stronger = self._height / max(_deviation(mean, count > 0), 1e-3)
        return (mean * stronger).astype(np.float32)


def _deviation(strokes: NDArray[np.float32], where: NDArray[np.bool_]) -> float:
    """Standard deviation over some pixels; 0 where there are none."""
    return float(strokes[where].std()) if where.any() else 0.0
