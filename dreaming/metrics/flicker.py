"""How much a result flickers: how far each frame is from the one before, carried onto it by the motion."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreaming.flow.warp import warp
from dreaming.io.types import Flow, Image, Mask, Probability

AGREEMENT = 1.0  # pixel by which forward and backward flow may differ where a pixel is seen in both frames


def visible_in_both(backward: Flow, forward: Flow) -> Mask:
    """Where flow from a frame to the one before (H, W, 2) and the flow back to it agree, (H, W)."""
    return np.linalg.norm(backward + warp(forward, backward), axis=2) < AGREEMENT


def flicker(before: Image | Probability, after: Image | Probability, backward: Flow, seen: Mask) -> float:
    """Mean absolute difference between a picture and its predecessor carried onto it, in the pictures' own units.

    Args:
        before: (H, W) or (H, W, C).
        after: The next one.
        backward: Flow from ``after`` to ``before`` in pixels, (H, W, 2).
        seen: Where it counts, (H, W).
    """
    difference = np.abs(after.astype(np.float32) - warp(before.astype(np.float32), backward))
    return float(difference[seen].mean()) if seen.any() else 0.0


def mask_flicker(before: Mask, after: Mask, backward: Flow, seen: Mask) -> float:
    """Pixels that come and go though nothing moved them there, as a share of the subject's mean area.

    A mask that keeps to its subject scores near 0 whatever its motion; one that drops half of it and finds it again
    scores 0.5.

    Args:
        before: (H, W).
        after: The next one.
        backward: Flow from ``after`` to ``before`` in pixels, (H, W, 2).
        seen: Where it counts, (H, W).
    """
    carried: NDArray[Any] = warp(before.astype(np.float32), backward) > 0.5
    area = (np.count_nonzero(carried) + np.count_nonzero(after)) / 2
    return float(np.count_nonzero((carried != after) & seen) / area) if area else 0.0
