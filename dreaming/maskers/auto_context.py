"""Auto-context: a pixel classifier, and a second one that also sees the first one's map around each pixel.

Tu, "Auto-context and its application to high-level vision tasks", CVPR 2008, with gradient-boosted trees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, ClassVar, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import ThreadpoolController

from dreaming.constraints import PositiveFloat, PositiveInt, Range
from dreaming.features.channels import FeatureMaps, blurred
from dreaming.flow.warp import warp
from dreaming.io.types import Flow, Mask, Probability

PixelSamples: TypeAlias = NDArray[np.float32]
"""Channels of some pixels, (P, C)."""

BLOCK = 4096
"""Pixels predicted at once: few enough for the processor's cache, because every tree passes over all of them."""

CERTAIN = 0.02
"""Probability below which, or above 1 minus which, the pixels between others that are as certain are interpolated."""

DIRECTIONS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


@dataclass(frozen=True)
class Boosting:
    """Train scikit-learn's ``HistGradientBoostingClassifier``, with its parameters, in one thread per classifier.

    ``min_samples_leaf`` is limited to a twentieth of all samples.
    """

    kind: ClassVar[str] = "boosting"

    max_iter: PositiveInt = 100
    learning_rate: PositiveFloat = 0.1
    max_leaf_nodes: Annotated[int, Range(ge=2)] = 31
    min_samples_leaf: PositiveInt = 200
    max_features: Annotated[float, Range(gt=0, le=1)] = 0.3

    def fit(self, samples: PixelSamples, labels: NDArray[np.bool_], seed: int) -> "Trees":
        """Train on samples (P, C) and their labels (P,)."""
        model = HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_iter=self.max_iter,
            max_leaf_nodes=self.max_leaf_nodes,
            # With few samples, 200 per leaf would leave a tree without splits.
            min_samples_leaf=max(1, min(self.min_samples_leaf, len(samples) // 20)),
            max_features=self.max_features,
            early_stopping=False,
            random_state=seed,
        )
        with _threads().limit(limits=1, user_api="openmp"):
            model.fit(samples, labels)
        return Trees(model)


@dataclass(frozen=True)
class Trees:
    """A trained classifier of pixels."""

    model: HistGradientBoostingClassifier

    def __call__(self, samples: PixelSamples) -> NDArray[np.float32]:
        """Return the probability (P,) of samples (P, C)."""
        if not len(samples):
            return np.zeros(0, np.float32)
        # Frames run in parallel; on a busy machine OpenMP's threads would wait for one another for seconds.
        with _threads().limit(limits=1, user_api="openmp"):
            blocks = [samples[start : start + BLOCK] for start in range(0, len(samples), BLOCK)]
            return np.concatenate([self.model.predict_proba(block)[:, -1] for block in blocks]).astype(np.float32)

    def map(self, channels: FeatureMaps, where: Mask, strides: Sequence[int] = (1,)) -> Probability:
        """Return the probability (h, w) of a frame's channels (C, h, w) at the pixels ``where`` (h, w); 0 elsewhere.

        Every ``strides[0]``-th row and column comes first, then every ``strides[1]``-th, and so on; each stride divides
        the one before it. A finer grid is predicted only near uncertain or differing pixels of the coarser one, and
        interpolated elsewhere. Between the pixels of the last grid all are interpolated.
        """
        grid = self._at(*_every(strides[0], channels, where))
        for coarse, fine in pairwise(strides):
            some, within = _every(fine, channels, where)
            window = np.ones((3, 3), np.uint8)
            uncertain = (cv2.dilate(grid, window) > CERTAIN) & (cv2.erode(grid, window) < 1 - CERTAIN)
            rows, columns = (np.arange(length) // (coarse // fine) for length in within.shape)
            near = uncertain[rows[:, None], columns]
            grid = np.where(near, self._at(some, within & near), _enlarged(grid, coarse // fine, within))
        return _enlarged(grid, strides[-1], where)

    def _at(self, channels: FeatureMaps, where: Mask) -> Probability:
        probability = np.zeros(where.shape, np.float32)
        probability[where] = self(channels[:, where].T)
        return probability


def _every(stride: int, channels: FeatureMaps, where: Mask) -> tuple[FeatureMaps, Mask]:
    """Every ``stride``-th row and column."""
    return channels[:, ::stride, ::stride], where[::stride, ::stride]


def _enlarged(grid: Probability, factor: int, where: Mask) -> Probability:
    """Interpolate a map (h, w) from every ``factor``-th row and column; 0 outside of ``where`` (h, w)."""
    if factor == 1:
        return grid
    rows, columns = (np.arange(length, dtype=np.float32) / np.float32(factor) for length in where.shape)
    x, y = np.meshgrid(columns, rows)
    return cv2.remap(grid, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * where


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def context_channels(
    own: Probability,
    neighbours: Sequence[tuple[Probability, Flow]],
    sigmas: Sequence[float] = (2.0, 5.0, 12.0),
    offsets: Sequence[int] = (8, 20),
) -> FeatureMaps:
    """Compute the second classifier's input channels from the first one's maps, (C, h, w).

    Args:
        own: Map of the frame (h, w).
        neighbours: Maps (h, w) of at most two other frames, each with the flow to it (h, w, 2); the frame's own map
            stands in for a missing one.
        sigmas: Blurs of the frame's own map, in working pixels.
        offsets: Distances, in working pixels, at which it is looked up in eight directions.
    """
    warped = [warp(values, flow) for values, flow in neighbours]
    warped += [own] * (2 - len(warped))
    planes = [own, *warped]
    # Minimum and maximum do not depend on which neighbour comes first in time.
    planes += [np.minimum(*warped), np.maximum(*warped)]
    planes += [blurred(own, sigma) for sigma in sigmas]
    for offset in offsets:
        planes += [_shifted(own, dy * offset, dx * offset) for dy, dx in DIRECTIONS]
    return np.stack(planes)


def _shifted(values: Probability, dy: int, dx: int) -> Probability:
    """The map looked up at (y + dy, x + dx), with replicated borders."""
    height, width = values.shape
    rows = np.clip(np.arange(height) + dy, 0, height - 1)
    columns = np.clip(np.arange(width) + dx, 0, width - 1)
    return values[rows[:, None], columns]
