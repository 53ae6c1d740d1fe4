"""Base classes of the metrics: means over frames."""

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric


class FrameMean(Metric):
    """Mean over frames of a score of each, independent of how frames are batched."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    accumulator: ClassVar[torch.dtype] = torch.float32
    """Type of the running sum. float64 would fail on Apple's GPUs."""
    total: Tensor
    frames: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0, dtype=self.accumulator), dist_reduce_fx="sum")
        self.add_state("frames", torch.tensor(0), dist_reduce_fx="sum")

    def score(self, *frame: Any) -> float | Tensor:
        """Score one frame; the arguments are those of ``update`` without the batch axis."""
        raise NotImplementedError

    def update(self, *batches: Iterable[Any]) -> None:
        """Add a batch of frames, as several sequences of equal length."""
        for frame in zip(*batches, strict=True):
            self.total += self.score(*frame)
            self.frames += 1

    def compute(self) -> Tensor:
        """Return the mean, a scalar; NaN without frames."""
        return self.total / self.frames


class MaskMean(FrameMean):
    """Mean over frames of a score that compares two masks."""

    def update(self, probability: Tensor, mask: Tensor) -> None:  # type: ignore[override]  # its sequences by name
        """Add frames: probabilities (B, 1, H, W) in 0..1, and their ground truth (B, 1, H, W) of 0 and 1."""
        super().update(probability[:, 0] > 0.5, mask[:, 0] > 0.5)
