"""Loss terms of segmentation networks, unweighted."""

import torch.nn.functional as F
from torch import Tensor


def bce(logits: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy of logits and a mask in 0..1, (B, 1, H, W) each; mean over pixels (natural logarithm)."""
    return F.binary_cross_entropy_with_logits(logits.float(), mask.float())


def dice(logits: Tensor, mask: Tensor, smooth: float = 1.0) -> Tensor:
    """Soft Dice loss, 1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth), a scalar in 0..1.

    Source: V-Net (Milletari et al. 2016), section 3, with plain instead of squared sums in the denominator. The sums
    run over the whole batch, because the Dice loss of a crop without foreground has no useful gradient.

    Args:
        logits: (B, 1, H, W), any value.
        mask: (B, 1, H, W) in 0..1.
        smooth: Pixels added to numerator and denominator, so that two empty masks have a loss of 0.
    """
    probability, truth = logits.float().sigmoid(), mask.float()
    shared = (probability * truth).sum()
    return 1 - (2 * shared + smooth) / (probability.sum() + truth.sum() + smooth)
