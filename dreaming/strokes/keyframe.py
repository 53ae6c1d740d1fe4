"""Keyframes with the statistics of their strokes, and the choice of the nearest ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.shots import Shots
from dreaming.imaging.brush_strokes import even_grain, without_margin
from dreaming.io.types import Image, Mask
from dreaming.strokes.bands import (
    MIN_ENERGY,
    SIGMAS,
    blur,
    energy_quantiles,
    laplacian,
    local_energy,
    sample,
    split,
    weighted_mean,
)

WINDOW = 8.0
"""Gaussian window of the local energy, in pixels."""

GRAIN_RADIUS = 5
"""Window of the guided filter in pixels; a larger one leaves more of the picture in the grain."""

GRAIN_EPSILON = 1.0e-3

GRAIN_LIMIT = 2.5
"""Deviation, as a multiple of the local strength, beyond which a difference is more likely an edge than grain."""


@dataclass(frozen=True, eq=False)
class BandStatistics:
    """Local energies of one fine band of a keyframe.

    Attributes:
        quantiles: Of the local energy of the stylised frame, as ``energy_quantiles`` returns them.
        source_level: Mean logarithm of the local energy of the source frame.
        exponent: Of the power of the source's local energy to which the stylised frame's is proportional, in 0..1.
    """

    quantiles: NDArray[np.float32]
    source_level: float
    exponent: float

    @classmethod
    def of(cls, painted: NDArray[np.float32], source: NDArray[np.float32]) -> Self:
        """Compute them from the local energies (N,) of both at the same pixels."""
        level = mean_log(source)
        logs = np.log(source + MIN_ENERGY) - level
        slope = float((logs * np.log(painted + MIN_ENERGY)).sum() / max((logs * logs).sum(), 1.0))
        return cls(energy_quantiles(painted), level, min(max(slope, 0.0), 1.0))


def mean_log(energies: NDArray[np.float32]) -> float:
    """Mean logarithm of local energies (N,); that of a flat image if there are none."""
    return float(np.log(energies + MIN_ENERGY).mean()) if energies.size else float(np.log(MIN_ENERGY))


class Keyframe:
    """A keyframe with the statistics of its strokes.

    Attributes:
        frame: The source frame, (H, W, 3) RGB.
        painted: The stylised frame, (H, W, 3) RGB.
        known: (H, W) 1 where strokes are seen whole, 0 where it is not painted.
    """

    def __init__(self, frame: Image, painted: Image, mask: Mask) -> None:
        self.frame, self.painted = frame, painted
        self.known = without_margin(mask, SIGMAS[-1]).astype(np.float32)

    @cached_property
    def bands(self) -> list[BandStatistics]:
        """Statistics of each fine band, over the known pixels."""
        area = np.maximum(blur(self.known, WINDOW), np.float32(1e-6))

        def energies(image: Image) -> list[NDArray[np.float32]]:
            *bands, _ = split(image.astype(np.float32))
            known = (local_energy(band * self.known[..., None], WINDOW) / area**2 for band in bands)
            return [sample(energy.astype(np.float32), self.known > 0) for energy in known]

        return [BandStatistics.of(*pair) for pair in zip(energies(self.painted), energies(self.frame), strict=True)]

    @cached_property
    def sharpness(self) -> float:
        """Crispness per mean amplitude of the finest band, over the known pixels; 0 without any."""
        amplitudes = np.sqrt(self.bands[0].quantiles)
        amplitude = float((amplitudes[1:] + amplitudes[:-1]).mean()) / 2
        found = weighted_mean(np.abs(laplacian(self.painted.astype(np.float32))), self.known)
        return found / max(amplitude, MIN_ENERGY)

    @cached_property
    def grain(self) -> NDArray[np.float32]:
        """Grain (H, W) in multiples of its local strength; 0 where the frame is not painted."""
        return even_grain(self.painted, self.frame, self.known > 0, GRAIN_RADIUS, GRAIN_EPSILON, GRAIN_LIMIT)


def nearest(shots: Shots, keyframes: Sequence[str], stem: str) -> list[str]:
    """Names of the keyframes before and after a frame in its shot, one of which may be missing, or its own alone.

    A shot without a keyframe has the one that is nearest to its first frame.
    """
    if stem in keyframes:
        return [stem]
    index = shots.index
    same = [key for key in keyframes if shots.joined(key, stem)]
    if not same:
        first = shots.around(stem, len(shots.stems)).start
        return [min(keyframes, key=lambda key: abs(index(key) - first))]
    before = [key for key in same if index(key) < index(stem)]
    after = [key for key in same if index(key) > index(stem)]
    return [*before[-1:], *after[:1]]
