"""What a mask's logits get wrong: named, unweighted terms."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def mask_terms(logits: Tensor, mask: Tensor, positive_weight: float = 1.0, smooth: float = 1.0) -> dict[str, Tensor]:
    """Every term that a segmenter's loss may hold, each a scalar.

    Args:
        logits: (B, 1, H, W), any value.
        mask: (B, 1, H, W) in 0..1.
        positive_weight: What a foreground pixel counts in ``bce`` against one of the background.
        smooth: See ``dice``.
    """
    return {"bce": bce(logits, mask, positive_weight), "dice": dice(logits, mask, smooth)}


def bce(logits: Tensor, mask: Tensor, positive_weight: float = 1.0) -> Tensor:
    """Binary cross-entropy, mean over pixels, a scalar from 0 up (natural logarithm)."""
    weight = torch.as_tensor(positive_weight, dtype=torch.float32, device=logits.device)
    return F.binary_cross_entropy_with_logits(logits.float(), mask.float(), pos_weight=weight)


def dice(logits: Tensor, mask: Tensor, smooth: float = 1.0) -> Tensor:
    """Soft Dice loss, 1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth), a scalar in 0..1.

    Source: V-Net (Milletari et al. 2016), section 3, with plain instead of squared sums in the denominator. The sums
    run over the whole batch: a crop without foreground has no Dice of its own worth learning from.

    Args:
        logits: (B, 1, H, W), any value.
        mask: (B, 1, H, W) in 0..1.
        smooth: Pixels added above and below, which settle the case of two empty masks.
    """
    probability, truth = logits.float().sigmoid(), mask.float()
    shared = (probability * truth).sum()
    return 1 - (2 * shared + smooth) / (probability.sum() + truth.sum() + smooth)
