"""Compensation of a change of exposure or white balance between two pictures of one scene."""

import numpy as np

from dreaming.io.types import Image, Mask

DARKEST, BRIGHTEST = 16, 250
"""Grey levels between which a pixel's ratio is meaningful: neither quantised nor clipped."""

MIN_PIXELS = 50
"""Fewest comparable pixels that a gain is estimated from."""

TOLERANCE = 0.02
"""Largest relative change of a channel that is left as it is."""


def match_exposure(image: Image, reference: Image, where: Mask) -> Image:
    """Divide an image (H, W, 3) by its gain relative to a reference (H, W, 3), one factor for each channel.

    A gain is the median ratio of the pixels ``where`` (H, W), both neither dark nor clipped. A clipped pixel takes the
    reference's level if that is higher, because its own is unknown. With too few pixels, or nearly no gain, the image
    is returned as it is.
    """
    rows, columns = np.nonzero(where[::2, ::2])
    own, other = (picture[::2, ::2][rows, columns] for picture in (image, reference))
    usable = ((own >= DARKEST) & (own <= BRIGHTEST) & (other >= DARKEST) & (other <= BRIGHTEST)).all(axis=1)
    if np.count_nonzero(usable) < MIN_PIXELS:
        return image
    gain = np.median(own[usable] / other[usable].astype(np.float32), axis=0)
    if (np.abs(gain - 1) <= TOLERANCE).all():
        return image
    scaled: Image = np.rint(np.clip(image / gain.astype(np.float32), 0, 255)).astype(np.uint8)
    return np.where(image > BRIGHTEST, np.maximum(scaled, reference), scaled)
