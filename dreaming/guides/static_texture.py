"""The static texture guide (config key ``canvas``): strokes and grain at the same position in all keyframes."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.constraints import PositiveFloat, PositiveInt, Range
from dreaming.guides.base import Channels, Guide
from dreaming.imaging.brush_strokes import even_grain
from dreaming.io.types import Image, Mask

log = logging.getLogger(__name__)

MIDDLE_GREY = 128
"""Level of a pixel without texture."""


@dataclass(frozen=True)
class StaticTextureGuide(Guide):
    """Texture of the keyframes that their frames do not explain, at the same position in all of them.

    Paper, canvas and the strokes of many filters stay in place while the image moves under them. The part of a
    keyframe's brightness that a guided filter cannot derive from its frame is divided by its local strength, because
    edges that the filter misses would hide faint grain. It is averaged over the keyframes and drawn around middle grey.
    In training, a keyframe receives the mean of the others. If that does not correlate with its own texture, or if
    there are no others, the guide is grey.

    Texture of one shot is drawn in another only if it correlates between their keyframes: what stays in place within a
    shot may be the picture. Otherwise each shot has the texture of its own keyframes.

    Attributes:
        radius: Window of the guided filter in pixels; finer structures count as texture.
        epsilon: Variance of grey, in 0..1, above which the guided filter treats the frame's structure as an edge.
        max_deviation: Deviation from the mean, as a multiple of the local strength, that is drawn black or white.
        min_correlation: Smallest mean correlation of a keyframe's texture with the others' at which it is drawn.
    """

    kind: ClassVar[str] = "static_texture_guide"
    version: ClassVar[int] = 3
    channels: ClassVar[int] = 1

    radius: PositiveInt = 8
    epsilon: PositiveFloat = 2.0e-4
    max_deviation: PositiveFloat = 2.5
    min_correlation: Annotated[float, Range(ge=-1, le=1)] = 0.08

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield the same texture, (H, W, 1), for each named frame, in order."""
        textures = _KeyframeTextures(self, clip, layer)
        of_shot: dict[str, Channels] = {}
        for stem in stems:
            first = clip.shots.of(stem)[0]
            if first not in of_shot:
                of_shot[first] = self._drawn(textures.mean(textures.sharing(stem)), clip)
            yield stem, of_shot[first]

    def training_examples(
        self, clip: Clip, layer: Layer, stems: Iterable[str], seed: int
    ) -> Iterator[tuple[str, Channels]]:
        """Yield the mean texture of the other keyframes for each keyframe."""
        textures = _KeyframeTextures(self, clip, layer)
        sharing = {stem: textures.sharing(stem) for stem in stems}
        shared = any(sharing.values())
        log.info("guide static texture: %s", "on" if shared else "off, because the keyframes share none")
        yield from ((stem, self._drawn(textures.mean(those, left_out=stem), clip)) for stem, those in sharing.items())

    def _drawn(self, texture: NDArray[np.float32] | None, clip: Clip) -> Channels:
        if texture is None:
            return np.full((*clip.size, self.channels), MIDDLE_GREY, np.uint8)
        return np.clip(np.rint(MIDDLE_GREY + 127 / self.max_deviation * texture), 1, 255).astype(np.uint8)[..., None]

    def texture(self, stylised: Image, frame: Image, mask: Mask) -> NDArray[np.float32]:
        """Texture (H, W) of a stylised image that its frame does not explain, in multiples of its local strength.

        Args:
            stylised: (H, W, 3) RGB.
            frame: (H, W, 3) RGB.
            mask: (H, W), where the image is painted; the texture is 0 elsewhere.
        """
        return even_grain(stylised, frame, mask, self.radius, self.epsilon, self.max_deviation)


class _KeyframeTextures:
    """Textures (N, H, W) of all keyframes of a layer, 0 where these are not painted, and their means."""

    def __init__(self, guide: StaticTextureGuide, clip: Clip, layer: Layer) -> None:
        keyframes = clip.keyframes(layer)
        self._masks, self._indices = keyframes.masks, {stem: index for index, stem in enumerate(keyframes.stems)}
        self._textures = np.stack(list(map(guide.texture, keyframes.styled, keyframes.sources, keyframes.masks)))
        self._strength = float(np.mean(list(map(_deviation, self._textures, self._masks))))
        self._shots, self._min_correlation = clip.shots, guide.min_correlation
        self._by_shot: dict[str, list[int]] = {}

    def sharing(self, stem: str) -> list[int]:
        """Indices of the keyframes whose texture a frame shares."""
        first = self._shots.of(stem)[0]
        if first not in self._by_shot:
            between = len(self._shots) > 1 and self._shared_between_shots
            self._by_shot[first] = list(self._indices.values()) if between else self._sharing_within(first)
        return self._by_shot[first]

    def _sharing_within(self, stem: str) -> list[int]:
        own = [index for key, index in self._indices.items() if self._shots.joined(key, stem)]
        others = {index: [other for other in own if other != index] for index in own}
        return own if self._correlation(others) > self._min_correlation else []

    @cached_property
    def _shared_between_shots(self) -> bool:
        others = {
            index: [other for name, other in self._indices.items() if not self._shots.joined(key, name)]
            for key, index in self._indices.items()
        }
        return self._correlation(others) > self._min_correlation

    def mean(self, indices: Sequence[int], left_out: str | None = None) -> NDArray[np.float32] | None:
        """Mean texture (H, W) of keyframes, scaled to the strength of one: a mean of different textures is fainter.

        None without any keyframe.
        """
        chosen = [index for index in indices if left_out is None or index != self._indices[left_out]]
        if not chosen:
            return None
        total, count = self._textures[chosen].sum(axis=0), self._masks[chosen].sum(axis=0, dtype=np.float32)
        mean = (total / np.maximum(count, 1)).astype(np.float32)
        gain = self._strength / max(_deviation(mean, count > 0), 1e-3)
        return (mean * gain).astype(np.float32)

    def _correlation(self, others: Mapping[int, Sequence[int]]) -> float:
        """Mean correlation of the texture of keyframes with the mean of others; 0 if none can be compared."""
        correlations = []
        for index, chosen in others.items():
            mean = self.mean(chosen)
            if mean is None:
                continue
            both = self._masks[index] & self._masks[list(chosen)].any(axis=0)
            one, other = self._textures[index][both], mean[both]
            if one.size and one.std() > 0 and other.std() > 0:
                correlations.append(np.corrcoef(one, other)[0, 1])
        log.debug(
            "static texture: correlations between keyframes %s", ", ".join(f"{each:.2f}" for each in correlations)
        )
        return float(np.mean(correlations)) if correlations else 0.0


def _deviation(texture: NDArray[np.float32], where: NDArray[np.bool_]) -> float:
    """Standard deviation over some pixels; 0 if there are none."""
    return float(texture[where].std()) if where.any() else 0.0
