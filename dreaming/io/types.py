"""The kinds of array used everywhere: one name, dtype, shape and range for each."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""A picture, (H, W, 3) RGB in 0..255."""

Mask: TypeAlias = NDArray[np.bool_]
"""Where the subject is, (H, W)."""

Probability: TypeAlias = NDArray[np.float32]
"""How likely each pixel is the subject, (H, W) in 0..1."""

Flow: TypeAlias = NDArray[np.float32]
"""Optical flow, (H, W, 2): (dx, dy) in pixels from a pixel of one frame to its place in another."""

Size: TypeAlias = tuple[int, int]
"""(height, width) in pixels."""
