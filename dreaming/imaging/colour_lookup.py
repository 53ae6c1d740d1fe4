"""A function of colour as a table of all 8-bit colours, so that a frame is looked up in one step."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dreaming.io.types import Image, Probability

LEVELS = 256


class ColourTable:
    """A probability for each of the 256^3 colours, in steps of 1 / 255: 16 MiB.

    The log-odds are computed at ``nodes`` levels of each channel and interpolated trilinearly in between; unlike the
    probabilities, those of Gaussian mixtures are nearly quadratic.

    Args:
        log_odds: Takes colours (P, 3), RGB in 0..1, to natural log-odds (P,).
        nodes: Levels of each channel at which it is asked, from 2 to 256.
        limit: Log-odds are clipped to plus or minus this, so that a node far away from all data bends no neighbour.
    """

    def __init__(
        self, log_odds: Callable[[NDArray[np.float64]], NDArray[np.float64]], nodes: int = 64, limit: float = 12.0
    ) -> None:
        levels = np.linspace(0, 1, nodes)
        coarse = np.empty((nodes, nodes, nodes), np.float32)  # blue, green, red
        for place, blue in enumerate(levels):
            green, red = np.meshgrid(levels, levels, indexing="ij")
            colours = np.stack([red, green, np.full_like(red, blue)], axis=-1).reshape(-1, 3)
            coarse[place] = log_odds(colours).reshape(nodes, nodes)
        coarse = coarse.clip(-limit, limit)
        weights = _interpolation(nodes)  # (256, N)
        self._table = np.empty((LEVELS,) * 3, np.uint8)
        for blue in range(LEVELS):
            plane = weights @ np.tensordot(weights[blue], coarse, 1) @ weights.T  # (256, 256)
            self._table[blue] = np.rint(expit(plane) * 255)

    def __call__(self, image: Image) -> Probability:
        """The probability (H, W) of each pixel of a frame (H, W, 3)."""
        padded = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
        padded[..., 3] = 0
        places = padded.view("<u4")[..., 0]  # red + 256 green + 65536 blue
        return self._table.reshape(-1)[places].astype(np.float32) / 255


def _interpolation(nodes: int) -> NDArray[np.float32]:
    """Weights of the nodes for each of 256 levels, (256, N), rows summing to 1."""
    places = np.linspace(0, nodes - 1, LEVELS)
    return np.maximum(0, 1 - abs(places[:, None] - np.arange(nodes))).astype(np.float32)
