"""Operations on the shape of masks."""

import cv2
import numpy as np

from dreaming.frames.arrays import Probability


def feather(mask: Probability, sigma: float) -> Probability:
    """Soften a mask's edge with a Gaussian.

    Args:
        mask: (H, W) in 0..1.
        sigma: Of the Gaussian, in pixels; 0 leaves the mask as it is.

    Returns:
        (H, W) in 0..1; beyond the frame's border the mask goes on as at the border.
    """
    if sigma == 0:
        return mask
    blurred = cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.clip(blurred, 0, 1).astype(np.float32)
