"""Warping by optical flow: resizing, chaining and checking flows."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.imaging.resize import resize_image
from dreaming.io.types import Flow, Size


def resize_flow(flow: Flow, size: Size) -> Flow:
    """A flow (h, w, 2) for frames of another (height, width), in those frames' pixels."""
    if flow.shape[:2] == tuple(size):
        return flow
    # NumPy takes twice the time to multiply by a pair.
    return cv2.multiply(resize_image(flow, size), (size[1] / flow.shape[1], size[0] / flow.shape[0], 0, 0))


@lru_cache(maxsize=4)
def _grid(size: Size) -> Flow:
    """(x, y) of every pixel, (H, W, 2)."""
    x, y = np.meshgrid(np.arange(size[1], dtype=np.float32), np.arange(size[0], dtype=np.float32))
    return np.dstack([x, y])


def coordinates(flow: Flow) -> Flow:
    """(x, y) in the other frame of every pixel, (H, W, 2)."""
    return _grid(flow.shape[:2]) + flow


def warp(picture: NDArray[Any], flow: Flow, *, border: int = cv2.BORDER_REPLICATE) -> NDArray[Any]:
    """Fetch a picture along a flow: pixel x becomes ``picture`` at x + flow(x), bilinearly.

    Args:
        picture: (H, W) or (H, W, C), uint8 or float32.
        flow: (H, W, 2) in pixels, from the result to ``picture``.
        border: What lies outside ``picture``, as an OpenCV constant.

    Returns:
        As ``picture``.
    """
    assert picture.shape[:2] == flow.shape[:2]
    return cv2.remap(picture, coordinates(flow), None, cv2.INTER_LINEAR, borderMode=border)


def chain(first: Flow, second: Flow) -> Flow:
    """The flow from a to c of those from a to b and from b to c; no pixel is sampled, so nothing blurs."""
    return first + warp(second, first)


def consistent(there: Flow, back: Flow, *, relative: float = 0.01, absolute: float = 0.5) -> NDArray[np.bool_]:
    """Which pixels are seen in both frames: those that come back to where they were.

    The rule of Sundaram et al., "Dense point trajectories by GPU-accelerated large displacement optical flow", ECCV
    2010: |there + back|^2 <= relative (|there|^2 + |back|^2) + absolute.

    Args:
        there: (H, W, 2), from a frame to another.
        back: (H, W, 2), from the other frame to this one.
        relative: Error allowed for the flows' lengths, as a share of their squares.
        absolute: Error allowed always, in square pixels.

    Returns:
        (H, W), True where consistent.
    """
    returned = warp(back, there)
    error = squared_length(there + returned)
    return error <= relative * (squared_length(there) + squared_length(returned)) + absolute


def squared_length(flow: Flow) -> NDArray[np.float32]:
    """Square of how far each pixel moves, (H, W); a fifth of the time that a sum over NumPy's last axis takes."""
    x, y = cv2.split(flow)
    return x * x + y * y
