"""Points on the image content: scattered evenly, moved along the optical flow, drawn as coloured blobs."""

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
"""Width, in radii, of the pattern that is tiled over a frame: sampling all of a large frame would take a minute."""
BLOB_SIGMAS = 3.0
"""Radius of a blob in sigmas, beyond which it is not drawn."""


@dataclass(frozen=True, eq=False)
class Points:
    """Points of one frame.

    Attributes:
        ids: (N,) int32, ascending; a point has the same id in all frames.
        positions: (N, 2) float32, (x, y) in pixels; some may lie outside the frame.
    """

    ids: NDArray[np.int32]
    positions: NDArray[np.float32]

    @classmethod
    def none(cls) -> Self:
        """No points."""
        return cls(np.empty(0, np.int32), np.empty((0, 2), np.float32))

    def __len__(self) -> int:
        return len(self.ids)

    def __add__(self, other: "Points") -> "Points":
        ids = np.concatenate([self.ids, other.ids])
        order = np.argsort(ids, kind="stable")
        return Points(ids[order], np.concatenate([self.positions, other.positions])[order])

    def moved(self, flow: Flow, size: Size) -> "Points":
        """Move the points to another frame along the flow (h, w, 2) to it, in pixels of the flow's own size."""
        return Points(self.ids, moved(self.positions, flow, size))

    def within(self, size: Size, margin: float) -> "Points":
        """Keep the points inside the frame or at most ``margin`` pixels outside."""
        x, y = self.positions.T
        return self._select((np.maximum(-x, x - size[1]) < margin) & (np.maximum(-y, y - size[0]) < margin))

    def thinned(self, distance: float) -> "Points":
        """Drop each point that is nearer than ``distance`` pixels to a later one."""
        kept = np.ones(len(self), bool)
        if len(self) > 1:
            kept[cKDTree(self.positions).query_pairs(distance, output_type="ndarray")[:, 0]] = False
        return self._select(kept)

    def _select(self, kept: NDArray[np.bool_]) -> "Points":
        return Points(self.ids[kept], self.positions[kept])


def moved(positions: NDArray[np.float32], flow: Flow, size: Size) -> NDArray[np.float32]:
    """Move positions (N, 2) in a frame of ``size`` along a flow (h, w, 2), sampled bilinearly, clamped at borders."""
    scale = np.array([flow.shape[1] / size[1], flow.shape[0] / size[0]])
    x, y = ((positions + 0.5) * scale - 0.5).T
    steps = [map_coordinates(flow[..., axis], [y, x], order=1, mode="nearest") for axis in (0, 1)]
    return (positions + np.stack(steps, axis=1) / scale).astype(np.float32)


@lru_cache(maxsize=4)
def scatter(size: Size, radius: float, seed: int) -> NDArray[np.float32]:
    """Scatter positions (N, 2) over a frame by Poisson disks of ``radius`` pixels (Bridson, SIGGRAPH 2007)."""
    tile = qmc.PoissonDisk(2, radius=1 / TILE, seed=seed).fill_space()
    # Across the seams of the tiling points may be too close: one of each pair is dropped.
    close = cKDTree(tile, boxsize=1).query_pairs(1 / TILE, output_type="ndarray")
    tile = np.delete(tile, close[:, 1], axis=0) * TILE * radius
    rows, columns = (range(math.ceil(side / (TILE * radius))) for side in size)
    shifts = np.array([(column, row) for row in rows for column in columns]) * TILE * radius
    positions = (shifts[:, None] + tile).reshape(-1, 2).astype(np.float32)
    return positions[(positions[:, 0] <= size[1] - 1) & (positions[:, 1] <= size[0] - 1)]


def values_at(positions: NDArray[np.float32], mask: Mask) -> NDArray[np.bool_]:
    """The mask's value at each position (N, 2) inside its frame, (N,)."""
    x, y = np.rint(positions).astype(int).T
    return mask[y, x]


def far_from(positions: NDArray[np.float32], size: Size, distance: float) -> Mask:
    """Pixels (H, W) farther than ``distance`` from all positions (N, 2); positions outside the frame are ignored."""
    empty = np.ones(size, np.uint8)
    x, y = np.rint(positions).astype(int).T
    inside = (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
    if not inside.any():
        return np.ones(size, bool)
    empty[y[inside], x[inside]] = 0
    return cv2.distanceTransform(empty, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > distance


def draw_blobs(positions: NDArray[np.float32], colours: NDArray[np.uint8], sigma: float, size: Size) -> Image:
    """Draw blobs at (x, y) (N, 2) in RGB (N, 3) over black, each over the previous by exp(-distance^2 / sigma^2).

    ``sigma`` is in pixels; a blob ends at ``BLOB_SIGMAS`` sigmas. ``size`` is (height, width) of the image.
    """
    image = np.zeros((3, *size), np.float32)  # planes, whose rows are computed fastest
    reach = BLOB_SIGMAS * sigma
    for (x, y), colour in zip(positions, colours.astype(np.float32)[:, :, None, None], strict=True):
        top, bottom = max(0, math.ceil(y - reach)), min(size[0], math.floor(y + reach) + 1)
        left, right = max(0, math.ceil(x - reach)), min(size[1], math.floor(x + reach) + 1)
        if top >= bottom or left >= right:
            continue
        across = np.exp(-np.square((np.arange(left, right, dtype=np.float32) - x) / sigma))
        down = np.exp(-np.square((np.arange(top, bottom, dtype=np.float32) - y) / sigma))
        region = image[:, top:bottom, left:right]
        region += np.multiply.outer(down, across) * (colour - region)
    return np.ascontiguousarray(np.rint(image).astype(np.uint8).transpose(1, 2, 0))
