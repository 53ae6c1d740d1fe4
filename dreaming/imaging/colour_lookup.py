"""Fast evaluation of a function of colour by a table of all 8-bit colours."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dreaming.io.types import Image, Probability

LEVELS = 256


class ColourTable:
    """A table of the probabilities of all 256^3 colours, in steps of 1 / 255; it takes 16 MiB.

    The log-odds are evaluated at ``nodes`` levels of each channel and interpolated trilinearly. Log-odds of Gaussian
    mixtures are nearly quadratic, unlike probabilities.

    Args:
        log_odds: Function from colours (P, 3), RGB in 0..1, to natural log-odds (P,).
        nodes: Number of levels of each channel at which it is evaluated, from 2 to 256.
        limit: Bound of the absolute log-odds, so that extreme values far from all data do not distort their neighbours.
    """

    def __init__(
        self, log_odds: Callable[[NDArray[np.float64]], NDArray[np.float64]], nodes: int = 64, limit: float = 12.0
    ) -> None:
        levels = np.linspace(0, 1, nodes)
        coarse = np.empty((nodes, nodes, nodes), np.float32)  # blue, green, red
        for index, blue in enumerate(levels):
            green, red = np.meshgrid(levels, levels, indexing="ij")
            colours = np.stack([red, green, np.full_like(red, blue)], axis=-1).reshape(-1, 3)
            coarse[index] = log_odds(colours).reshape(nodes, nodes)
        coarse = coarse.clip(-limit, limit)
        weights = _interpolation(nodes)  # (256, N)
        self._table = np.empty((LEVELS,) * 3, np.uint8)
        for blue in range(LEVELS):
            plane = weights @ np.tensordot(weights[blue], coarse, 1) @ weights.T  # (256, 256)
            self._table[blue] = np.rint(expit(plane) * 255)

    def __call__(self, image: Image) -> Probability:
        """Look up the probability (H, W) of each pixel of a frame (H, W, 3)."""
        padded = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
        padded[..., 3] = 0
        indices = padded.view("<u4")[..., 0]  # red + 256 green + 65536 blue
        return self._table.reshape(-1)[indices].astype(np.float32) / 255


def _interpolation(nodes: int) -> NDArray[np.float32]:
    """Linear interpolation weights of the nodes for each of 256 levels, (256, N)."""
    positions = np.linspace(0, nodes - 1, LEVELS)
    return np.maximum(0, 1 - abs(positions[:, None] - np.arange(nodes))).astype(np.float32)
