"""How much of a mask's area is right; and the mean over frames that mask metrics share."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import binary_jaccard_index


class FrameMean(Metric):
    """Mean over frames of a score of each, whatever the batches they come in.

    Args:
        threshold: From which probability on a pixel is foreground.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    total: Tensor
    frames: Tensor

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        self.threshold = threshold
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("frames", torch.tensor(0), dist_reduce_fx="sum")

    def score(self, found: Tensor, truth: Tensor) -> float | Tensor:
        """Score of one frame in 0..1, from two masks (H, W) of booleans."""
        raise NotImplementedError

    def update(self, probability: Tensor, mask: Tensor) -> None:
        """Take in frames.

        Args:
            probability: (B, 1, H, W) in 0..1.
            mask: The truth, (B, 1, H, W) of 0 and 1.
        """
        for found, truth in zip(probability[:, 0] > self.threshold, mask[:, 0] > 0.5, strict=True):
            self.total += self.score(found, truth)
            self.frames += 1

    def compute(self) -> Tensor:
        """The mean, a scalar in 0..1; NaN without frames."""
        return (self.total / self.frames).float()


class FrameJaccard(FrameMean):
    """Mean over frames of the Jaccard index (intersection over union); a frame where both masks are empty scores 1.

    torchmetrics' own class pools the pixels of all frames, so that a frame with a large subject outweighs the others.
    """

    def score(self, found: Tensor, truth: Tensor) -> Tensor:
        """Jaccard index of two masks (H, W)."""
        return binary_jaccard_index(found.int(), truth.int(), zero_division=1.0)
