"""How much likelier a colour is the subject's than the backdrop's: smoothed histograms of Lab colours."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dreaming.io.types import Image, Probability

Counts = NDArray[np.float32]
"""Pixels of each colour, (2, B, B, B): the backdrop's, then the subject's; over lightness, a and b."""


@dataclass(frozen=True, eq=False)
class ColourBins:
    """A grid of cells over the part of Lab space that a clip's colours fill.

    Attributes:
        tables: (3, 256), the cell along each axis of each 8-bit value; colours beyond the ends belong to the last cell.
        count: Cells along each axis, B.
    """

    tables: NDArray[np.intp]
    count: int

    @classmethod
    def from_images(cls, pictures: list[Image], count: int = 24, tail: float = 0.002) -> "ColourBins":
        """Cells over the colours of some 8-bit Lab pictures (H, W, 3), but for a ``tail`` at each end of each axis.

        Most videos fill a small part of a and b: cells over all of it would tell few of their colours apart.
        """
        colours = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
        low, high = np.quantile(colours, [tail, 1 - tail], axis=0)
        width = np.maximum((high - low) / count, 1.0)
        places = (np.arange(256)[None] - low[:, None] + 0.5) / width[:, None]
        return cls(np.clip(places, 0, count - 1).astype(np.intp), count)

    def cells(self, lab: Image) -> NDArray[np.intp]:
        """The number of each pixel's cell (H, W), in 0..B^3."""
        lightness, a, b = (self.tables[axis][lab[..., axis]] for axis in range(3))
        return (lightness * self.count + a) * self.count + b

    def counts(self, lab: Image, mask: Probability) -> Counts:
        """Pixels of each colour, each shared out between subject and backdrop by ``mask`` (H, W) in 0..1."""
        cells = self.cells(lab).ravel()
        subject = np.bincount(cells, mask.ravel(), self.count**3)
        whole = np.bincount(cells, minlength=self.count**3)
        return np.stack([whole - subject, subject]).reshape(2, *[self.count] * 3).astype(np.float32)

    def log_ratio(self, counts: Counts, sigma: float = 1.0, prior: float = 1e-6) -> NDArray[np.float32]:
        """The natural log of p(colour | subject) / p(colour | backdrop) for each cell, (B^3,).

        Args:
            counts: (2, B, B, B).
            sigma: Of the Gaussian by which counts spread to neighbouring cells, in cells.
            prior: Probability added to each cell, so that a colour never seen says nothing.
        """
        spread = np.stack([gaussian_filter(part, sigma, mode="nearest") for part in counts])
        chances = spread / np.maximum(spread.sum(axis=(1, 2, 3), keepdims=True), 1e-6) + prior
        return (np.log(chances[1]) - np.log(chances[0])).ravel().astype(np.float32)


def rgb_to_lab(image: Image) -> Image:
    """8-bit Lab (H, W, 3) of an RGB picture."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
