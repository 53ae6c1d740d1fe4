"""Auto-context: a pixel classifier, and a second one that also sees what the first made of the surroundings.

Tu, "Auto-context and its application to high-level vision tasks", CVPR 2008, with gradient-boosted trees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import ThreadpoolController

from dreaming.features.channels import FeatureMaps, blurred
from dreaming.flow.warp import warp
from dreaming.io.types import Flow, Mask, Probability

BackgroundSampling: TypeAlias = NDArray[np.float32]
"""Channels at some pixels, (P, C)."""

BLOCK = 4096
"""Pixels predicted at once: as many as fit into the processor's cache, for every tree passes over them anew."""

DIRECTIONS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


@dataclass(frozen=True)
class Boosting:
    """Gradient-boosted trees on histograms (scikit-learn's), one thread each.

    Attributes:
        trees: How many.
        rate: By how much each corrects those before.
        leaves: Of a tree, at most.
        leaf_samples: Pixels of a leaf, at least.
        features: Share of the channels that each split may choose from.
    """

    kind: ClassVar[str] = "boosting"

    max_iter: int = 100
    learning_rate: float = 0.1
    max_leaf_nodes: int = 31
    min_samples_leaf: int = 200
    max_features: float = 0.3

    def fit(self, samples: BackgroundSampling, labels: NDArray[np.bool_], seed: int) -> "Trees":
        """Learn the labels (P,) of samples (P, C)."""
        model = HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_iter=self.max_iter,
            max_leaf_nodes=self.max_leaf_nodes,
            # Few samples: a leaf may not ask for more than a share of them.
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
    """What ``Boosting`` learnt."""

    model: HistGradientBoostingClassifier

    def __call__(self, samples: BackgroundSampling) -> NDArray[np.float32]:
        """The probability (P,) of samples (P, C)."""
        if not len(samples):
            return np.zeros(0, np.float32)
        # Its threads wait for one another for seconds on a busy machine; frames are what is computed side by side.
        with _threads().limit(limits=1, user_api="openmp"):
            blocks = [samples[start : start + BLOCK] for start in range(0, len(samples), BLOCK)]
            return np.concatenate([self.model.predict_proba(block)[:, -1] for block in blocks]).astype(np.float32)

    def map(self, channels: FeatureMaps, where: Mask) -> Probability:
        """The probability (h, w) of a frame's channels (C, h, w), 0 but ``where`` (h, w)."""
        found = np.zeros(where.shape, np.float32)
        found[where] = self(channels[:, where].T)
        return found


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


@dataclass(frozen=True)
class Context:
    """What the second classifier sees of the first one's maps.

    Attributes:
        sigmas: Blurs of the frame's own map, in working pixels.
        offsets: Distances, in working pixels, at which it is looked up in eight directions.
    """

    kind: ClassVar[str] = "context"

    sigmas: Sequence[float] = (2.0, 5.0, 12.0)
    offsets: Sequence[int] = (8, 20)

    def channels(self, own: Probability, neighbours: Sequence[tuple[Probability, Flow]]) -> FeatureMaps:
        """Further channels (C, h, w).

        Args:
            own: The frame's map (h, w).
            neighbours: Two other frames' maps (h, w), each with the flow to it (h, w, 2); fewer: its own stands in.
        """
        carried = [warp(values, flow) for values, flow in neighbours]
        carried += [own] * (2 - len(carried))
        planes = [own, *carried]
        # The order of the two is that of time, which must not matter.
        planes += [np.minimum(*carried), np.maximum(*carried)]
        planes += [blurred(own, sigma) for sigma in self.sigmas]
        for offset in self.offsets:
            planes += [_shifted(own, dy * offset, dx * offset) for dy, dx in DIRECTIONS]
        return np.stack(planes)


def _shifted(values: Probability, dy: int, dx: int) -> Probability:
    """The map looked up at (y + dy, x + dx); beyond the border its last value."""
    height, width = values.shape
    rows = np.clip(np.arange(height) + dy, 0, height - 1)
    columns = np.clip(np.arange(width) + dx, 0, width - 1)
    return values[rows[:, None], columns]
