"""Crispness of a layer's stylised frames over time, for the report."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dreaming.artifacts.measurements import measured
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.clip.keyframe_folder import KeyframeFolder
from dreaming.clip.shots import Shots
from dreaming.io.prefetch import prefetch_map
from dreaming.metrics.strokes import FLAT, fine_detail

TOP = 1.5
"""Crispness at the top of the plot; a higher one is drawn there."""


@dataclass(frozen=True)
class CrispnessCurve:
    """Crispness of each stylised frame, relative to the paintings before and after it, interpolated.

    Attributes:
        layer: Name of the layer.
        stems: Names of the frames, in order.
        values: Their crispness: 1 is as crisp as the keyframes, less is blurred.
        keyframes: Indices of the keyframes among ``stems``.
        shots: The clip's shots.
    """

    layer: str
    stems: list[str]
    values: list[float]
    keyframes: list[int]
    shots: Shots

    @property
    def mean(self) -> float:
        """Mean over all frames."""
        return float(np.mean(self.values))

    @property
    def step(self) -> float:
        """Greatest change between neighbours of a shot: a visible jump."""
        pairs = zip(pairwise(self.stems), pairwise(self.values), strict=True)
        return max((abs(one - other) for stems, (one, other) in pairs if self.shots.joined(*stems)), default=0.0)

    def points(self, width: float, height: float) -> list[tuple[float, float]]:
        """Positions (x, y) of the frames in a plot of this size, whose y points down from ``TOP`` to 0."""
        across = np.linspace(0, width, len(self.values)) if len(self.values) > 1 else np.array([width / 2])
        down = height * (1 - np.clip(self.values, 0, TOP) / TOP)
        return [(round(float(x), 1), round(float(y), 1)) for x, y in zip(across, down, strict=True)]


def measure_crispness(clip: Clip, layer: Layer) -> CrispnessCurve | None:
    """Measure a layer's stylised frames; None without a stylised frame that has a keyframe.

    Raises:
        DreamingError: If a picture cannot be read.
    """
    styled, painted = clip.styled(layer), clip.keyframe_folder(layer)
    stems, size = styled.stems, clip.size
    keys = [index for index, stem in enumerate(stems) if stem in painted]
    if not keys:
        return None

    def measure() -> list[float]:
        return list(prefetch_map(lambda stem: float(fine_detail(styled.read(stem, size)).mean()), stems, 2))

    detail = measured(clip.path, f"crispness of {styled.path.relative_to(clip.path)}", styled.path, [], measure)
    masks, painters = KeyframeFolder(painted, clip.keyframe_masks(layer)), []
    for stem in (stems[index] for index in keys):
        # The part that is not painted counts as painted like the stylised frame.
        whole = np.where(masks.mask(stem, size)[..., None], painted.read(stem, size), styled.read(stem, size))
        painters.append(fine_detail(whole).mean())
    expected = np.interp(range(len(stems)), keys, painters)
    index_of = {stem: index for index, stem in enumerate(stems)}
    for shot in clip.shots:
        inside = [index_of[stem] for stem in shot if stem in index_of]
        members = set(inside)
        own = [number for number, key in enumerate(keys) if key in members]
        if own:  # not between keyframes of two shots
            expected[inside] = np.interp(inside, [keys[k] for k in own], [painters[k] for k in own])
    values = np.array(detail) / np.maximum(expected, FLAT)
    return CrispnessCurve(layer.name, stems, values.tolist(), keys, clip.shots)
