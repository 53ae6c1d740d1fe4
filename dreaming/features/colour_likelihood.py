"""Likelihood of a clip's colours under subject and background, from histograms of some masked frames."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.features.propagated_masks import PropagationSource
from dreaming.imaging.colour_histogram import ColourBins, Counts, rgb_to_lab
from dreaming.imaging.resize import resize_image
from dreaming.io.types import Image, Size

RANGE_FRAMES = 8  # frames, spread over the clip, that determine the range of its colours


@dataclass(eq=False)
class ColourLikelihood:
    """Colour histograms of one clip, read at ``size``; counts are cached."""

    clip: Clip
    size: Size
    _counts: dict[str, Counts] = field(default_factory=dict, init=False)
    _ratios: dict[tuple[str, ...], NDArray[np.float32]] = field(default_factory=dict, init=False)

    def lab(self, stem: str) -> Image:
        """A frame in 8-bit Lab, (h, w, 3)."""
        return rgb_to_lab(resize_image(self.clip.frames.read(stem), self.size))

    def log_ratio(self, lab: Image, sources: tuple[PropagationSource, ...]) -> NDArray[np.float32]:
        """Natural log likelihood ratio (h, w) of Lab colours (h, w, 3), from the frames of masks, each counted once."""
        unique = {source.name: source for source in sources}
        key = tuple(sorted(unique))
        if key not in self._ratios:
            counts = np.sum([self._count(unique[name]) for name in key], axis=0)
            self._ratios[key] = self._bins.log_ratio(counts)
        return self._ratios[key][self._bins.cells(lab)]

    def _count(self, source: PropagationSource) -> Counts:
        if source.name not in self._counts:
            mask = source.mask * np.float32(1 / 255)
            self._counts[source.name] = self._bins.counts(self.lab(source.stem), mask)
        return self._counts[source.name]

    @cached_property
    def _bins(self) -> ColourBins:
        stems = self.clip.stems
        spread = sorted({round(index) for index in np.linspace(0, len(stems) - 1, RANGE_FRAMES)})
        return ColourBins.from_images([self.lab(stems[index]) for index in spread])
