"""Measures of whether brush strokes follow the motion, or differ from keyframe to keyframe."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.imaging.guided_filter import guided_filter
from dreaming.io.types import Image, Mask

MIN_DIFFERENCE = 4.0
"""Mean difference to the frame, in grey levels, above which a pixel counts as painted over."""

MIN_PIXELS = 100
"""Number of pixels below which the correlation of two images is not meaningful."""

STRENGTH_WINDOW = 4.0
"""Gaussian window, in pixels, of the local strength of grain."""

MIN_STRENGTH = 1.0
"""Mean deviation, in grey levels, far below which grain is rounding or compression."""

BLUR_RADIUS = 2.5
"""Radius beyond which a Gaussian blur has almost no weight, in standard deviations."""


def detail(image: Image, sigma: float) -> NDArray[np.float32]:
    """Grey values (H, W) minus their Gaussian blur: structures finer than about ``sigma`` pixels."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return grey - cv2.GaussianBlur(grey, (0, 0), sigma)


def detail_correlation(painted: Image, predictor: Image, where: NDArray[np.bool_], sigma: float) -> float | None:
    """Correlation of the detail of two images (H, W, 3) over some pixels (H, W); None: too few pixels; 0: no detail."""
    if np.count_nonzero(where) < MIN_PIXELS:
        return None
    one, other = (detail(image, sigma)[where] for image in (painted, predictor))
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def grain(painted: Image, frame: Image, radius: int, epsilon: float) -> NDArray[np.float32]:
    """Brightness (H, W) of a painted image that its frame does not explain, in levels around 0.

    What a guided filter (window ``radius`` in pixels, ``epsilon`` as there) derives from the frame is explained.
    """
    grey = cv2.cvtColor(painted, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return np.asarray(255 * (grey - guided_filter(grey, frame, radius, epsilon)), np.float32)


def even_grain(
    painted: Image, frame: Image, mask: Mask, radius: int, epsilon: float, limit: float
) -> NDArray[np.float32]:
    """Grain (H, W) in multiples of its local strength, at most ``limit``, because edges would outweigh what is faint.

    It is 0 outside of the mask (H, W) of painted pixels; for the other parameters see ``grain``.
    """
    known = mask.astype(np.float32)
    found = grain(painted, frame, radius, epsilon) * known
    mean, area = (cv2.GaussianBlur(each, (0, 0), STRENGTH_WINDOW) for each in (np.abs(found), known))
    strength = mean / np.maximum(area, np.float32(1e-6)) + np.float32(MIN_STRENGTH)
    return np.clip(found / strength, -limit, limit)


def painted_over(painted: Image, frame: Image, sigma: float) -> Mask:
    """Where a keyframe (H, W, 3) differs from its frame on average over a Gaussian of ``sigma`` pixels, (H, W)."""
    difference = cv2.absdiff(painted, frame).mean(axis=2, dtype=np.float32)
    return cv2.GaussianBlur(difference, (0, 0), sigma) > MIN_DIFFERENCE


def without_margin(mask: Mask, sigma: float) -> Mask:
    """Erode a mask (H, W) by the margin in which ``detail`` of this sigma shows the mask's edge instead of strokes."""
    radius = int(np.ceil(BLUR_RADIUS * sigma))
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return cv2.erode(mask.astype(np.uint8), kernel).astype(np.bool_)
