"""Mean, covariance and principal components of a clip's colours, computed in one pass."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dreaming.errors import ClipError
from dreaming.io.types import Image

CHUNK = 1 << 18  # pixels per step, which fit into a processor's cache as float64


@dataclass(frozen=True, eq=False)
class ColourStatistics:
    """Distribution of a clip's colours, RGB in 0..1.

    Attributes:
        mean: (3,).
        covariance: (3, 3), normalised by the number of pixels.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @cached_property
    def _principal(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        variances, vectors = np.linalg.eigh(self.covariance)
        return variances[::-1].clip(0), vectors.T[::-1]

    @property
    def variances(self) -> NDArray[np.float64]:
        """Variances along the principal components, (3,), largest first."""
        return self._principal[0]

    @property
    def components(self) -> NDArray[np.float64]:
        """Principal components as rows of unit length, (3, 3), by decreasing variance."""
        return self._principal[1]

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviations of the channels, (3,)."""
        return np.sqrt(np.diag(self.covariance))


NEUTRAL = ColourStatistics(np.zeros(3), np.eye(3))
"""Zero mean and unit variance, which leave colours unchanged until a checkpoint loads the clip's statistics."""


def measure(frames: Iterable[Image]) -> ColourStatistics:
    """Compute the statistics over all pixels of all frames.

    Moments are merged by equation 2.1 of "Algorithms for computing the sample variance" (Chan, Golub and LeVeque
    1983), in its form for covariances, which avoids cancellation in long clips.

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
        raise ClipError("frames", found="no frames", expected="at least one", hint="extract or add frames first")
    return ColourStatistics(mean, scatter / count)
