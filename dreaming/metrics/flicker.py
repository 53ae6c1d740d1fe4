"""Temporal stability: the difference between each frame and its predecessor, warped along the optical flow."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dreaming.flow.warp import warp
from dreaming.io.types import Flow, Image, Mask, Probability
from dreaming.metrics.base import FrameMean

AGREEMENT = 1.0  # pixels by which forward and backward flow may differ at a pixel that is visible in both frames


def visible_in_both(backward: Flow, forward: Flow) -> Mask:
    """Where the flow from a frame to its predecessor (H, W, 2) and the flow back agree, (H, W)."""
    return np.linalg.norm(backward + warp(forward, backward), axis=2) < AGREEMENT


def flicker(before: Image | Probability, after: Image | Probability, backward: Flow, visible: Mask) -> float:
    """Mean absolute difference between an image and its warped predecessor, in the images' own units.

    Args:
        before: (H, W) or (H, W, C).
        after: The next image.
        backward: Flow from ``after`` to ``before`` in pixels, (H, W, 2).
        visible: Pixels that count, (H, W); without any the result is 0.
    """
    difference = np.abs(after.astype(np.float32) - warp(before.astype(np.float32), backward))
    return float(difference[visible].mean()) if visible.any() else 0.0


def mask_flicker(before: Mask, after: Mask, backward: Flow, visible: Mask) -> float:
    """Number of pixels that appear or vanish against the flow, as a fraction of the mask's mean area.

    A mask that follows its subject scores near 0 whatever the motion. One that loses half of the subject and recovers
    it scores 0.5. The arguments are those of ``flicker``.
    """
    warped: NDArray[Any] = warp(before.astype(np.float32), backward) > 0.5
    area = (np.count_nonzero(warped) + np.count_nonzero(after)) / 2
    return float(np.count_nonzero((warped != after) & visible) / area) if area else 0.0


class Flicker(FrameMean):
    """Mean of ``flicker`` over pairs of images; ``update`` takes one sequence for each of its arguments."""

    higher_is_better = False
    accumulator = torch.float64  # computed with NumPy, on the CPU

    def score(self, *pair: Any) -> float:
        """``flicker`` of one pair."""
        return flicker(*pair)


class MaskFlicker(Flicker):
    """Mean of ``mask_flicker`` over pairs of masks."""

    def score(self, *pair: Any) -> float:
        """``mask_flicker`` of one pair."""
        return mask_flicker(*pair)
