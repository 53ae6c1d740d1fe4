"""Points on the things that a clip shows: spread evenly, moved along the flow, drawn as blobs of colour."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree
from scipy.stats import qmc

from dreaming.io.types import Flow, Image, Mask, Size

TILE = 16
"""Width of the pattern that is repeated over a frame, in radii: sampling all of a large frame would take a minute."""
REACH = 3.0
"""Distance in sigmas at which a blob ends."""


@dataclass(frozen=True, eq=False)
class Points:
    """Numbered points of one frame.

    Attributes:
        numbers: (N,) int32, rising; what a point is known by in every frame.
        places: (N, 2) float32, (x, y) in pixels; some may lie outside the frame.
    """

    numbers: NDArray[np.int32]
    places: NDArray[np.float32]

    @classmethod
    def none(cls) -> Self:
        """No points."""
        return cls(np.empty(0, np.int32), np.empty((0, 2), np.float32))

    def __len__(self) -> int:
        return len(self.numbers)

    def __add__(self, other: "Points") -> "Points":
        numbers = np.concatenate([self.numbers, other.numbers])
        order = np.argsort(numbers, kind="stable")
        return Points(numbers[order], np.concatenate([self.places, other.places])[order])

    def moved(self, flow: Flow, size: Size) -> "Points":
        """Where they lie in another frame, by the flow (h, w, 2) to it in pixels of its own size."""
        return Points(self.numbers, moved(self.places, flow, size))

    def within(self, size: Size, margin: float) -> "Points":
        """Those that lie in the frame or at most ``margin`` pixels outside."""
        x, y = self.places.T
        return self._take((np.maximum(-x, x - size[1]) < margin) & (np.maximum(-y, y - size[0]) < margin))

    def thinned(self, distance: float) -> "Points":
        """Without those that a later one lies upon, nearer than ``distance`` pixels."""
        kept = np.ones(len(self), bool)
        if len(self) > 1:
            kept[cKDTree(self.places).query_pairs(distance, output_type="ndarray")[:, 0]] = False
        return self._take(kept)

    def _take(self, kept: NDArray[np.bool_]) -> "Points":
        return Points(self.numbers[kept], self.places[kept])


def moved(places: NDArray[np.float32], flow: Flow, size: Size) -> NDArray[np.float32]:
    """Places (N, 2) in a frame of ``size`` moved along a flow (h, w, 2), sampled bilinearly, clamped at the border."""
    scale = np.array([flow.shape[1] / size[1], flow.shape[0] / size[0]])
    x, y = ((places + 0.5) * scale - 0.5).T
    steps = [map_coordinates(flow[..., axis], [y, x], order=1, mode="nearest") for axis in (0, 1)]
    return (places + np.stack(steps, axis=1) / scale).astype(np.float32)


@lru_cache(maxsize=4)
def spread(size: Size, radius: float, seed: int) -> NDArray[np.float32]:
    """Places (N, 2) all over a frame, none nearer than ``radius`` pixels to another (Bridson, SIGGRAPH 2007)."""
    tile = qmc.PoissonDisk(2, radius=1 / TILE, seed=seed).fill_space()
    # Across the seams of the repeated tile points may be too near each other: one of the two goes.
    clashing = cKDTree(tile, boxsize=1).query_pairs(1 / TILE, output_type="ndarray")
    tile = np.delete(tile, clashing[:, 1], axis=0) * TILE * radius
    rows, columns = (range(math.ceil(side / (TILE * radius))) for side in size)
    shifts = np.array([(column, row) for row in rows for column in columns]) * TILE * radius
    places = (shifts[:, None] + tile).reshape(-1, 2).astype(np.float32)
    return places[(places[:, 0] <= size[1] - 1) & (places[:, 1] <= size[0] - 1)]


def values_at(places: NDArray[np.float32], mask: Mask) -> NDArray[np.bool_]:
    """The mask's value at each place (N, 2) inside its frame, (N,)."""
    x, y = np.rint(places).astype(int).T
    return mask[y, x]


def far_from(places: NDArray[np.float32], size: Size, distance: float) -> Mask:
    """Which pixels (H, W) have none of the places (N, 2) within ``distance``; places outside the frame do not count."""
    empty = np.ones(size, np.uint8)
    x, y = np.rint(places).astype(int).T
    inside = (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
    if not inside.any():
        return np.ones(size, bool)
    empty[y[inside], x[inside]] = 0
    return cv2.distanceTransform(empty, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > distance


def draw_blobs(places: NDArray[np.float32], colours: NDArray[np.uint8], sigma: float, size: Size) -> Image:
    """Blobs over black, each blended over those before it with weight exp(-distance^2 / sigma^2).

    Args:
        places: (N, 2), (x, y) of their centres.
        colours: (N, 3) RGB.
        sigma: Of the blobs, in pixels; they end at three of it.
        size: (height, width) of the picture.
    """
    picture = np.zeros((3, *size), np.float32)  # planes, whose rows are computed fastest
    reach = REACH * sigma
    for (x, y), colour in zip(places, colours.astype(np.float32)[:, :, None, None], strict=True):
        top, bottom = max(0, math.ceil(y - reach)), min(size[0], math.floor(y + reach) + 1)
        left, right = max(0, math.ceil(x - reach)), min(size[1], math.floor(x + reach) + 1)
        if top >= bottom or left >= right:
            continue
        across = np.exp(-np.square((np.arange(left, right, dtype=np.float32) - x) / sigma))
        down = np.exp(-np.square((np.arange(top, bottom, dtype=np.float32) - y) / sigma))
        region = picture[:, top:bottom, left:right]
        region += np.multiply.outer(down, across) * (colour - region)
    return np.ascontiguousarray(np.rint(picture).astype(np.uint8).transpose(1, 2, 0))
