"""Likelihood ratios of colours from smoothed Lab histograms of subject and background."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dreaming.io.types import Image, Probability

Counts = NDArray[np.float32]
"""Histograms (2, B, B, B) of background and subject, over lightness, a and b."""


@dataclass(frozen=True, eq=False)
class ColourBins:
    """A grid of B^3 histogram cells over the part of Lab space that a clip's colours occupy.

    ``tables`` (3, 256) holds each 8-bit value's cell along each axis; values outside belong to the outer cells.
    """

    tables: NDArray[np.intp]
    count: int

    @classmethod
    def from_images(cls, images: list[Image], count: int = 24, tail: float = 0.002) -> "ColourBins":
        """Fit the grid to 8-bit Lab images (H, W, 3), excluding a fraction ``tail`` at each end of each axis.

        Most videos occupy a small part of a and b, so cells over the whole range would separate few of their colours.
        """
        colours = np.concatenate([image.reshape(-1, 3) for image in images])
        low, high = np.quantile(colours, [tail, 1 - tail], axis=0)
        width = np.maximum((high - low) / count, 1.0)
        positions = (np.arange(256)[None] - low[:, None] + 0.5) / width[:, None]
        return cls(np.clip(positions, 0, count - 1).astype(np.intp), count)

    def cells(self, lab: Image) -> NDArray[np.intp]:
        """Index of each pixel's cell, (H, W) in 0..B^3 - 1."""
        lightness, a, b = (self.tables[axis][lab[..., axis]] for axis in range(3))
        return (lightness * self.count + a) * self.count + b

    def counts(self, lab: Image, mask: Probability) -> Counts:
        """Count the pixels of each colour, divided between subject and background by ``mask`` (H, W) in 0..1."""
        cells = self.cells(lab).ravel()
        subject = np.bincount(cells, mask.ravel(), self.count**3)
        whole = np.bincount(cells, minlength=self.count**3)
        return np.stack([whole - subject, subject]).reshape(2, *[self.count] * 3).astype(np.float32)

    def log_ratio(self, counts: Counts, sigma: float = 1.0, prior: float = 1e-6) -> NDArray[np.float32]:
        """Natural logarithm of p(colour | subject) / p(colour | background) for each cell, (B^3,).

        The histograms are smoothed by a Gaussian of ``sigma`` cells. ``prior``, a probability added to each cell, makes
        the ratio of an unseen colour 0.
        """
        smooth = np.stack([gaussian_filter(part, sigma, mode="nearest") for part in counts])
        densities = smooth / np.maximum(smooth.sum(axis=(1, 2, 3), keepdims=True), 1e-6) + prior
        return (np.log(densities[1]) - np.log(densities[0])).ravel().astype(np.float32)


def rgb_to_lab(image: Image) -> Image:
    """Convert an RGB image to 8-bit Lab, (H, W, 3)."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
