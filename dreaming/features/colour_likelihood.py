"""Which of a clip's colours are the subject's, by the masks of some frames."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.features.propagated_masks import PropagationSource
from dreaming.imaging.colour_histogram import ColourBins, Counts, rgb_to_lab
from dreaming.imaging.resize import resize_image
from dreaming.io.types import Image, Size

RANGE_FRAMES = 8  # from as many frames, spread over the clip, the range of its colours is taken


@dataclass(eq=False)
class ColourLikelihood:
    """Colour histograms of one clip; what was counted is kept.

    Attributes:
        clip: The clip.
        size: (height, width) that frames are looked at.
        cells: Along each axis of Lab.
    """

    clip: Clip
    size: Size
    cells: int = 24
    _counted: dict[str, Counts] = field(default_factory=dict, init=False)
    _ratios: dict[tuple[str, ...], NDArray[np.float32]] = field(default_factory=dict, init=False)

    def lab(self, stem: str) -> Image:
        """A frame in 8-bit Lab, (h, w, 3)."""
        return rgb_to_lab(resize_image(self.clip.frames.read(stem), self.size))

    def log_ratio(self, lab: Image, sources: tuple[PropagationSource, ...]) -> NDArray[np.float32]:
        """How much likelier each colour is the subject's than the backdrop's, (h, w), natural log.

        Args:
            lab: (h, w, 3), as ``lab`` gives it.
            sources: Masks to go by, each counted once.
        """
        different = {source.name: source for source in sources}
        key = tuple(sorted(different))
        if key not in self._ratios:
            counts = np.sum([self._counts(different[name]) for name in key], axis=0)
            self._ratios[key] = self._bins.log_ratio(counts)
        return self._ratios[key][self._bins.cells(lab)]

    def _counts(self, source: PropagationSource) -> Counts:
        if source.name not in self._counted:
            mask = source.mask * np.float32(1 / 255)
            self._counted[source.name] = self._bins.counts(self.lab(source.stem), mask)
        return self._counted[source.name]

    @cached_property
    def _bins(self) -> ColourBins:
        names = self.clip.stems
        spread = sorted({round(place) for place in np.linspace(0, len(names) - 1, RANGE_FRAMES)})
        return ColourBins.from_images([self.lab(names[place]) for place in spread], self.cells)
