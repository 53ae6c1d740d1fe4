"""Mean, covariance and principal components of a clip's colours, measured in one pass that holds one frame."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dreaming.errors import ClipError
from dreaming.io.types import Image

CHUNK = 1 << 18  # pixels at once: as float64 they still fit a processor's cache


@dataclass(frozen=True, eq=False)
class ColourStatistics:
    """How a clip's colours are spread, RGB in 0..1.

    Attributes:
        mean: (3,).
        covariance: (3, 3), of the whole population: divided by the number of pixels.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @cached_property
    def _principal(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        variances, vectors = np.linalg.eigh(self.covariance)
        return variances[::-1].clip(0), vectors.T[::-1]

    @property
    def variances(self) -> NDArray[np.float64]:
        """Variance along each principal component, (3,), largest first."""
        return self._principal[0]

    @property
    def components(self) -> NDArray[np.float64]:
        """Principal components, one unit vector a row, (3, 3), that of the largest variance first."""
        return self._principal[1]

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviation of each channel, (3,)."""
        return np.sqrt(np.diag(self.covariance))


NEUTRAL = ColourStatistics(np.zeros(3), np.eye(3))
"""Statistics that change no colour: a stand-in where a checkpoint is about to bring the clip's own."""


def measure(frames: Iterable[Image]) -> ColourStatistics:
    """Statistics over all pixels of all frames.

    Each frame's moments are merged into those so far by "Algorithms for computing the sample variance" (Chan, Golub
    and LeVeque 1983), equation 2.1, in its form for covariances: no cancellation, however long the clip.

    Raises:
        ClipError: If there is no frame.
    """
    count, mean, scatter = 0, np.zeros(3), np.zeros((3, 3))
    for frame in frames:
        pixels = frame.reshape(-1, 3)
        for start in range(0, len(pixels), CHUNK):
            part = pixels[start : start + CHUNK] / 255.0  # (P, 3)
            part_mean = part.mean(axis=0)
            part -= part_mean
            total, shift = count + len(part), part_mean - mean
            scatter += part.T @ part + np.outer(shift, shift) * (count * len(part) / total)
            mean += shift * (len(part) / total)
            count = total
    if count == 0:
        raise ClipError("frames", found="no picture", expected="at least one", hint="extract or add the frames first")
    return ColourStatistics(mean, scatter / count)
