"""Array types that the package shares, each with its dtype, shape and range."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""An image, (H, W, 3) RGB in 0..255."""

Mask: TypeAlias = NDArray[np.bool_]
"""A mask, (H, W), True on the subject."""

Probability: TypeAlias = NDArray[np.float32]
"""Foreground probability, (H, W) in 0..1."""

Flow: TypeAlias = NDArray[np.float32]
"""Optical flow, (H, W, 2): the offset (dx, dy) in pixels from a pixel of one frame to the same point in another."""

Size: TypeAlias = tuple[int, int]
"""(height, width) in pixels."""
