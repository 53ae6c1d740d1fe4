"""Region similarity of masks: the Jaccard index."""

from torch import Tensor
from torchmetrics.functional.classification import binary_jaccard_index

from dreaming.metrics.base import MaskMean


class FrameJaccard(MaskMean):
    """Mean over frames of the Jaccard index (intersection over union); two empty masks score 1.

    ``BinaryJaccardIndex`` of torchmetrics pools the pixels of all frames, so a frame with a large subject would
    outweigh the others.
    """

    def score(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """Jaccard index of two boolean masks (H, W)."""
        return binary_jaccard_index(predicted.int(), truth.int(), zero_division=1.0, validate_args=False)
