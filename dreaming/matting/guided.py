"""Refinement of a soft mask by the colours of the frame."""

import numpy as np

from dreaming.imaging.guided_filter import colour_guided_filter
from dreaming.imaging.morphology import feather, window_around
from dreaming.io.types import Image, Probability
from dreaming.matting.trimap import UNKNOWN

RADIUS = 24
"""Radius of the windows in which opacity is linear in colour, in pixels."""

EPSILON = 1e-5
"""Variance of colours in 0..1 that counts as noise."""

DETAIL = 4.0
"""Standard deviation of the Gaussian that separates detail from shape, in pixels."""


def refine_guided(image: Image, probability: Probability, trimap: Probability) -> Probability:
    """Add the detail that the colours of a frame show, such as hair, to a soft mask; a matte (H, W) in 0..1.

    A colour guided filter explains the mask by colours. Only its detail is added: where colours do not separate the
    subject, it blurs the mask, and the mask's own shape is the better one.

    Args:
        image: (H, W, 3) RGB.
        probability: The mask, (H, W) in 0..1.
        trimap: (H, W); pixels that are not unknown keep its values.
    """
    window = window_around(trimap == UNKNOWN, 2 * RADIUS)  # a pixel's result depends on those within two radii
    image, known = image[window], trimap[window]
    unknown = known == UNKNOWN
    explained = mask = np.where(unknown, probability[window], known)
    for _ in range(2):  # known pixels weigh more in the second pass
        explained = np.where(unknown, colour_guided_filter(explained, image, RADIUS, EPSILON), known)
    detailed = np.clip(mask + explained - feather(explained, DETAIL), 0, 1)
    result = trimap.copy()
    result[window] = np.where(unknown, detailed, known)
    return result
