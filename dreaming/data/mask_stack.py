"""Batches for the ensemble: out-of-fold masks of several maskers, stacked with the frame and its hand mask."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dreaming.clip.annotations import References
from dreaming.constraints import NonNegativeInt, PositiveInt, UnitFloat
from dreaming.data.augment import GeometricAugmentation
from dreaming.data.segmentation import SegmentationDataModule
from dreaming.imaging.colour_statistics import NEUTRAL, ColourStatistics
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
    """

    references: References
    names: tuple[str, ...]
    predictions: NDArray[np.uint8]
    gaps: tuple[int, ...]
    folds: tuple[tuple[str, ...], ...]
    inconsistency: NDArray[np.uint8] | None = None
    validation: str = "folds"

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
        """Channels of one frame beside the image, see ``stack_channels``."""
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


class MaskStackDataModule(SegmentationDataModule):
    """Crops and whole frames as for a segmenter, at full resolution, with the maskers' masks as ``stack``.

    Args:
        train: Frames to train on.
        valid: Frames to validate on; None: no validation.
        statistics: Colour statistics of the clip.
        crop: Side of a crop in pixels.
        batch_size: Crops per training batch.
        foreground_share: Share of crops centred on the subject or its margin.
        foreground_margin: Width of that margin around the subject, in pixels.
        geometry: Geometric augmentation; None: none.
        steps_per_epoch: Steps per Lightning epoch.
        seed: Seed of all random draws.
    """

    kind: ClassVar[str] = "mask_stack_data_module"

    def __init__(
        self,
        train: MaskStacks,
        valid: MaskStacks | None,
        statistics: ColourStatistics = NEUTRAL,
        *,
        crop: PositiveInt = 64,
        batch_size: PositiveInt = 8,
        foreground_share: UnitFloat = 0.9,
        foreground_margin: NonNegativeInt = 32,
        geometry: GeometricAugmentation | None = None,
        steps_per_epoch: int = 100,
        seed: int = 0,
    ) -> None:
        super().__init__(
            train.references,
            None if valid is None else valid.references,
            statistics,
            crop=crop,
            batch_size=batch_size,
            foreground_share=foreground_share,
            foreground_margin=foreground_margin,
            geometry=geometry,
            steps_per_epoch=steps_per_epoch,
            seed=seed,
        )
        self.pixels = with_channels(self.pixels, train)
        if valid is not None and self.valid_pixels is not None:
            self.valid_pixels = with_channels(self.valid_pixels, valid)

    def gather(self, frame: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Gather pixels (B, S, S, C) by frame index (B,), rows and columns (B, S)."""
        return self.pixels[frame[:, None, None], rows[:, :, None], columns[:, None, :]]

    def sample(self, pixels: Tensor, positions: Tensor) -> Any:
        """Split pixels (B, C, H, W) in 0..1 into frame, mask and stack."""
        return {**super().sample(pixels[:, :4], positions), "stack": pixels[:, 4:]}


def with_channels(pixels: Tensor, stacks: MaskStacks) -> Tensor:
    """Append the stack's channels to frames and masks (K, H, W, 4) uint8, (K, H, W, 4 + 2 M + 1)."""
    channels = [stacks.channels(index) for index in range(len(stacks))]
    return torch.cat([pixels, torch.from_numpy(np.stack(channels))], dim=3)
