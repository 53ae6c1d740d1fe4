"""Out-of-fold masks of several maskers, stacked as the features that the ensemble is trained on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.io.types import Probability

MAX_GAP = 1023
"""Largest number of frames to the nearest hand mask that is distinguished."""


def gap_level(frames: int) -> int:
    """Encode the number of frames to the nearest hand mask in a byte, logarithmically."""
    return round(255 * np.log2(1 + min(frames, MAX_GAP)) / np.log2(1 + MAX_GAP))


@dataclass(frozen=True, eq=False)
class MaskStacks:
    """Hand-masked frames with the out-of-fold masks of several maskers.

    Attributes:
        references: The frames and their hand masks.
        names: Names of the maskers.
        predictions: (K, M, H, W) uint8, the maskers' probabilities as 0..255.
        gaps: Frames from each frame to the nearest one that the maskers were trained on, (K,).
        folds: Names of the frames that are held out together.
        inconsistency: (K, M, H, W) uint8, temporal inconsistency of each mask, see ``features.temporal_consistency``;
            None: unknown, taken as 0.
        validation: How the frames were held out: ``explicit``, ``split`` or ``folds``.
        dropped: Gain in IoU of each masker that is left out because it gains too little.
    """

    references: References
    names: tuple[str, ...]
    predictions: NDArray[np.uint8]
    gaps: tuple[int, ...]
    folds: tuple[tuple[str, ...], ...]
    inconsistency: NDArray[np.uint8] | None = None
    validation: str = "folds"
    dropped: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.predictions.shape[:2] == (len(self.references), len(self.names))
        assert len(self.gaps) == len(self.references)

    def __len__(self) -> int:
        return len(self.references)

    def select(self, stems: Iterable[str]) -> Self:
        """Select frames by name."""
        wanted = set(stems)
        indices = [index for index, stem in enumerate(self.references.stems) if stem in wanted]
        inconsistency = None if self.inconsistency is None else self.inconsistency[indices]
        return replace(
            self,
            references=self.references.select(wanted),
            predictions=self.predictions[indices],
            gaps=tuple(self.gaps[k] for k in indices),
            inconsistency=inconsistency,
        )

    def without(self, stems: Iterable[str]) -> Self:
        """Select all frames but the named ones."""
        return self.select(set(self.references.stems) - set(stems))

    def channels(self, index: int) -> NDArray[np.uint8]:
        """Channels of one frame beside the image, (H, W, 2 M + 1) uint8 as of ``stack_channels``."""
        inconsistency = None if self.inconsistency is None else self.inconsistency[index]
        return stack_channels(self.predictions[index], inconsistency, self.gaps[index])


def stack_channels(
    masks: Sequence[Probability] | NDArray[np.uint8], inconsistency: NDArray[np.uint8] | None, gap: int
) -> NDArray[np.uint8]:
    """Channels beside the image, (H, W, 2 M + 1) uint8: the M masks, the inconsistency of each, and the gap."""
    levels = [mask if mask.dtype == np.uint8 else np.rint(mask * 255).astype(np.uint8) for mask in masks]
    zero = np.zeros_like(levels[0])
    inconsistencies = [zero] * len(levels) if inconsistency is None else list(inconsistency)
    return np.dstack([*levels, *inconsistencies, np.full_like(zero, gap_level(gap))])
