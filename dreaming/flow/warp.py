"""Warping by optical flow; resizing, chaining and forward-backward checks of flows."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.imaging.resize import resize_image
from dreaming.io.types import Flow, Size


def resize_flow(flow: Flow, size: Size) -> Flow:
    """Resize a flow (h, w, 2) to another (height, width), in pixels of that size."""
    if flow.shape[:2] == tuple(size):
        return flow
    # Twice as fast as multiplying a NumPy array by a pair.
    return cv2.multiply(resize_image(flow, size), (size[1] / flow.shape[1], size[0] / flow.shape[0], 0, 0))


@lru_cache(maxsize=4)
def _grid(size: Size) -> Flow:
    """(x, y) of each pixel, (H, W, 2)."""
    x, y = np.meshgrid(np.arange(size[1], dtype=np.float32), np.arange(size[0], dtype=np.float32))
    return np.dstack([x, y])


def coordinates(flow: Flow) -> Flow:
    """(x, y) of each pixel in the other frame, (H, W, 2)."""
    return _grid(flow.shape[:2]) + flow


def warp(picture: NDArray[Any], flow: Flow, *, border: int = cv2.BORDER_REPLICATE) -> NDArray[Any]:
    """Warp an image along a flow: pixel x takes the value of ``picture`` at x + flow(x), bilinearly.

    Args:
        picture: (H, W) or (H, W, C), uint8 or float32, like the result.
        flow: (H, W, 2) in pixels, from the result to ``picture``.
        border: OpenCV's border mode for positions outside ``picture``.
    """
    assert picture.shape[:2] == flow.shape[:2]
    return cv2.remap(picture, coordinates(flow), None, cv2.INTER_LINEAR, borderMode=border)


def chain(first: Flow, second: Flow) -> Flow:
    """Chain the flows from a to b and from b to c into one from a to c; no image is sampled, so nothing blurs."""
    return first + warp(second, first)


def consistent(there: Flow, back: Flow, *, relative: float = 0.01, absolute: float = 0.5) -> NDArray[np.bool_]:
    """Forward-backward check: where (H, W) two opposite flows (H, W, 2) bring a pixel back, so both frames show it.

    The criterion of Sundaram et al., "Dense point trajectories by GPU-accelerated large displacement optical flow",
    ECCV 2010: |there + back|^2 <= relative (|there|^2 + |back|^2) + absolute, in square pixels.
    """
    returned = warp(back, there)
    error = squared_length(there + returned)
    return error <= relative * (squared_length(there) + squared_length(returned)) + absolute


def squared_length(flow: Flow) -> NDArray[np.float32]:
    """Squared length of each flow vector, (H, W); five times as fast as a sum over NumPy's last axis."""
    x, y = cv2.split(flow)
    return x * x + y * y
