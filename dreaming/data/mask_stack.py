"""Batches for the ensemble: what several maskers found in frames whose hand masks they had not seen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dreaming.clip.annotations import References
from dreaming.data.augment import GeometricAugmentation
from dreaming.data.segmentation import SegmentationDataModule
from dreaming.imaging.colour_statistics import NEUTRAL, ColourStatistics
from dreaming.io.types import Probability

FARTHEST = 1023
"""Frames to the nearest hand mask that one byte tells apart, by its logarithm."""


def gap_level(frames: int) -> int:
    """Distance to the nearest hand mask as a level in 0..255, by its logarithm."""
    return round(255 * np.log2(1 + min(frames, FARTHEST)) / np.log2(1 + FARTHEST))


@dataclass(frozen=True, eq=False)
class MaskStacks:
    """Hand-masked frames with what each masker found there.

    Attributes:
        references: The frames and their hand masks.
        names: The maskers.
        predictions: (K, M, H, W) uint8, each masker's probability as 0..255.
        gaps: Frames from each frame to the nearest whose mask the maskers had learnt, (K,).
        folds: Names of the frames that are to be left out together.
        inconsistency: (K, M, H, W) uint8, by how much each map differs from those of the neighbouring frames, see
            ``data.steadiness``; None: this is not known, and nowhere blamed.
        protocol: How the frames came to be unseen: ``explicit``, ``split`` or ``folds``.
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
        """Only the frames of these names."""
        wanted = set(stems)
        places = [place for place, stem in enumerate(self.references.stems) if stem in wanted]
        inconsistency = None if self.inconsistency is None else self.inconsistency[places]
        return replace(
            self,
            references=self.references.select(wanted),
            predictions=self.predictions[places],
            gaps=tuple(self.gaps[k] for k in places),
            inconsistency=inconsistency,
        )

    def without(self, stems: Iterable[str]) -> Self:
        """All frames but those of these names."""
        return self.select(set(self.references.stems) - set(stems))

    def channels(self, place: int) -> NDArray[np.uint8]:
        """Channels of one frame beside its picture."""
        inconsistency = None if self.inconsistency is None else self.inconsistency[place]
        return stack_channels(self.predictions[place], inconsistency, self.gaps[place])


def stack_channels(
    found: Sequence[Probability] | NDArray[np.uint8], inconsistency: NDArray[np.uint8] | None, gap: int
) -> NDArray[np.uint8]:
    """Channels beside the image, (H, W, 2 M + 1) uint8: the M masks, the inconsistency of each, and the gap."""
    maps = [each if each.dtype == np.uint8 else np.rint(each * 255).astype(np.uint8) for each in found]
    nothing = np.zeros_like(maps[0])
    blamed = [nothing] * len(maps) if inconsistency is None else list(inconsistency)
    return np.dstack([*maps, *blamed, np.full_like(nothing, gap_level(gap))])


class MaskStackDataModule(SegmentationDataModule):
    """Crops and whole frames as for a segmenter, at full resolution, with the maskers' maps as a ``stack``.

    Args:
        train: Frames to learn from.
        valid: Those to judge by; None for nobody to judge.
        statistics: The clip's colours.
        crop: Side of a crop in pixels.
        batch_size: Crops a training batch.
        foreground_share: Share of crops centred on the subject or on its ``surroundings``.
        foreground_margin: How far from the subject such a centre may lie, in pixels.
        geometry: How crops are bent; None: not at all.
        steps_per_epoch: Where Lightning ends an epoch.
        seed: Of all random draws.
    """

    kind: ClassVar[str] = "mask_stack_data_module"

    def __init__(
        self,
        train: MaskStacks,
        valid: MaskStacks | None,
        statistics: ColourStatistics = NEUTRAL,
        *,
        crop: int = 64,
        batch_size: int = 8,
        foreground_share: float = 0.9,
        foreground_margin: int = 32,
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
        self.pixels = with_layers(self.pixels, train)
        if valid is not None and self.valid_pixels is not None:
            self.valid_pixels = with_layers(self.valid_pixels, valid)

    def gathered(self, frame: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Pixels (B, S, S, C) of the named frames, rows and columns."""
        return self.pixels[frame[:, None, None], rows[:, :, None], columns[:, None, :]]

    def sample(self, pixels: Tensor, places: Tensor) -> Any:
        """What a batch (B, C, H, W) in 0..1 holds: frame, mask, and the stack behind them."""
        return {**super().sample(pixels[:, :4], places), "stack": pixels[:, 4:]}


def with_layers(pixels: Tensor, stacks: MaskStacks) -> Tensor:
    """Frames and masks (K, H, W, 4) uint8 with the stack's channels behind, (K, H, W, 4 + 2 M + 1)."""
    behind = [stacks.channels(place) for place in range(len(stacks))]
    return torch.cat([pixels, torch.from_numpy(np.stack(behind))], dim=3)
