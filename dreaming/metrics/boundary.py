"""Contour accuracy of masks: the boundary F-measure."""

import math

import cv2
import numpy as np
from torch import Tensor

from dreaming.io.types import Mask
from dreaming.metrics.base import MaskMean


def outline(mask: Mask) -> Mask:
    """Inner outline of a mask (H, W), one pixel wide; the frame's border is not part of it."""
    padded = np.pad(mask, 1, mode="edge").astype(np.uint8)
    eroded = cv2.erode(padded, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))[1:-1, 1:-1]
    return mask & (eroded == 0)


def boundary_f(predicted: Mask, truth: Mask, tolerance: float = 0.008) -> float:
    """Harmonic mean of the outline's precision and recall, in 0..1, of two masks (H, W); without outlines it is 1.

    Source: "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation" (Perazzi et al. 2016),
    section 5. As in its code, an outline pixel is matched if the other outline passes within the tolerance, a fraction
    of the frame's diagonal that is rounded up to whole pixels.
    """
    ours, theirs = outline(predicted), outline(truth)
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    radius = math.ceil(tolerance * math.hypot(*truth.shape))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    near_ours, near_theirs = (cv2.dilate(line.astype(np.uint8), disk) > 0 for line in (ours, theirs))
    precision, recall = near_theirs[ours].mean(), near_ours[theirs].mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


class BoundaryF(MaskMean):
    """Mean of ``boundary_f`` over frames."""

    def score(self, predicted: Tensor, truth: Tensor) -> float:
        """Boundary F-measure of two boolean masks (H, W)."""
        # OpenCV dilates by a disk of 73 pixels, the tolerance of a 4K frame, far faster than torch on any device.
        return boundary_f(predicted.cpu().numpy(), truth.cpu().numpy())
