"""How strong a painter's strokes would be in a frame between keyframes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dreaming.strokes.bands import energy_quantiles, local_energy, sample, split
from dreaming.strokes.keyframe import WINDOW, Keyframe, mean_log

MIN_KNOWN = 0.01
"""Share of a frame that keyframes must show, so that their strokes can be compared with it."""

MIN_GRAIN = 0.006
"""Variance of grain, whose local strength is about 1, that is too faint to be amplified."""


@dataclass(frozen=True, eq=False)
class Painter:
    """The strokes of one or two keyframes, interpolated over time.

    Attributes:
        keyframes: The keyframes before and after a frame, or one of them.
        shares: Weight of each, of sum 1, which changes linearly over time.
        steps: Distance of the nearest one from the frame.
        same_shot: Whether they show the frame's shot; otherwise nothing is used that has a position in them.
    """

    keyframes: Sequence[Keyframe]
    shares: Sequence[float]
    steps: int
    same_shot: bool = True

    @classmethod
    def near(cls, keyframes: Sequence[tuple[Keyframe, int]], *, same_shot: bool = True) -> Self:
        """Weigh keyframes by their distance in steps."""
        steps = [distance for _, distance in keyframes]
        shares = [1.0] if len(steps) == 1 else [steps[1] / sum(steps), steps[0] / sum(steps)]
        return cls([keyframe for keyframe, _ in keyframes], shares, min(steps), same_shot)

    @cached_property
    def known(self) -> NDArray[np.float32]:
        """Share (H, W) of the keyframes, in 0..1, that is painted at each position; 0 in another shot."""
        known = self._mean([keyframe.known for keyframe in self.keyframes])
        return known if self.same_shot else np.zeros_like(known)

    @cached_property
    def grain(self) -> NDArray[np.float32]:
        """Finest band (H, W) of the keyframes' grain, without unit, each at its position; 0 in another shot."""
        grain = next(split(self._mean([keyframe.grain for keyframe in self.keyframes])))
        return grain if self.same_shot else np.zeros_like(grain)

    @cached_property
    def sharpness(self) -> float:
        """Crispness of the keyframes per mean amplitude of their finest band."""
        return float(np.average([keyframe.sharpness for keyframe in self.keyframes], weights=self.shares))

    @cached_property
    def grain_energy(self) -> NDArray[np.float32]:
        """Local energy (H, W) of the grain, without unit, above 0."""
        return local_energy(self.grain, WINDOW) + np.float32(MIN_GRAIN)

    def energy(
        self, index: int, own: NDArray[np.float32], source: NDArray[np.float32], known: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Local energy (H, W) that the painter would have given a band of a frame.

        Each pixel gets the keyframes' energy at the quantile that it has in the network's image. If the whole frame is
        sharper or more blurred than the keyframes, the energy differs as much as it does within these.

        Args:
            index: Number of the band, fine to coarse.
            own: Local energy (H, W) of the network's image.
            source: Local energy (H, W) of the source frame.
            known: Pixels (H, W) that the keyframes show; if there are few, ``own`` is returned.
        """
        if known.mean() < MIN_KNOWN:
            return own
        bands = [keyframe.bands[index] for keyframe in self.keyframes]
        quantiles = self._mean([band.quantiles for band in bands])
        level, exponent = self._mean([np.array([band.source_level, band.exponent], np.float32) for band in bands])
        factor = np.exp(exponent * (mean_log(sample(source, known)) - level))
        mapped = np.interp(own, energy_quantiles(sample(own, known)), quantiles)
        return (factor * mapped).astype(np.float32)

    def _mean(self, arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.average(arrays, axis=0, weights=self.shares).astype(np.float32)
