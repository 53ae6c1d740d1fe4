"""Relocation of a subject that optical flow has lost: a search for its picture, shifted, in the target frame.

Coarse-to-fine flow cannot follow a subject that moves farther than its own size, because the subject has vanished at
the resolution at which its motion is small (Brox and Malik, "Large Displacement Optical Flow", TPAMI 2011).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dreaming.flow.warp import coordinates, resize_flow, warp
from dreaming.io.types import Flow, Image, Mask, Size

MAX_ERROR = 15.0
"""Mean photometric error of a propagated mask above which its subject is searched for."""
MIN_AREA = 0.5
"""Share of its area below which a propagated mask has lost its subject."""
SIDE = 24
"""Longer side of the subject's box to which both frames are reduced, in pixels."""
MAX_RATIO = 0.5
"""Largest root mean square difference of a relocated subject, relative to that of the propagated one."""
MAX_DIFFERENCE = 30.0
"""Largest difference of a relocated subject in any case, in grey levels, so that one that has left is not found."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A subject in a reference frame: the frame (H, W, 3) and the subject's mask (H, W), which is not empty."""

    image: Image
    mask: Mask

    def relocated(self, flow: Flow, error: NDArray[np.float32], target: Image) -> tuple[float, float] | None:
        """Find how far (x, y), in pixels, a lost subject has moved to a target frame (H, W, 3).

        None if it is not lost, left the frame, or is nowhere much more similar. ``flow`` (h, w, 2) leads from the
        target to the reference, ``error`` (h, w) is its photometric error.
        """
        size = flow.shape[:2]
        propagated = warp(_resized(self.mask, size), flow) > 0.5
        area = self.mask.mean()
        if propagated.mean() > MIN_AREA * area and error[propagated].mean() <= MAX_ERROR:
            return None
        scale = min(1.0, SIDE / max(cv2.boundingRect(self.mask.view(np.uint8))[2:]))
        small = (max(1, round(target.shape[0] * scale)), max(1, round(target.shape[1] * scale)))
        picture, found, before = (
            cv2.resize(each, small[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
            for each in (target, warp(self.image, resize_flow(flow, self.mask.shape)), self.image)
        )
        mask = _resized(self.mask, small) > 0.5
        x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
        if not w or min(h, w) < 2:
            return None
        template, weights = before[y : y + h, x : x + w], mask[y : y + h, x : x + w].astype(np.float32)
        costs = cv2.matchTemplate(picture, template, cv2.TM_SQDIFF, mask=np.dstack([weights] * 3))
        costs = np.sqrt(np.maximum(costs, 0) / (3 * weights.sum()))
        row, column = np.unravel_index(np.argmin(costs), costs.shape)
        own = _resized(propagated, small) > 0.5
        current = np.sqrt(np.square(picture - found)[own].mean()) if own.any() else np.inf
        limit = min(MAX_RATIO * current, MAX_DIFFERENCE)
        # A subject that looks like its surroundings resembles more places than it would cover.
        if costs[row, column] > limit or np.count_nonzero(costs <= limit) > weights.sum():
            return None
        return float((column - x) / scale), float((row - y) / scale)

    def moved(
        self, flow: Flow, visible: NDArray[np.float32], shift: tuple[float, float]
    ) -> tuple[Flow, NDArray[np.float32]]:
        """Correct a flow (h, w, 2) and its visibility (h, w) for a subject shifted by (x, y) pixels.

        What the subject uncovers is not visible in the reference, so it leads to the nearest pixel beside the subject.
        """
        size = flow.shape[:2]
        across, down = shift[0] * size[1] / self.mask.shape[1], shift[1] * size[0] / self.mask.shape[0]
        own = _resized(self.mask, size)
        there = cv2.warpAffine(own, np.array([[1, 0, across], [0, 1, down]]), size[::-1])
        around = cv2.dilate((there > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        uncovered = (warp(own, flow) > 0) & ~around
        inside = cv2.dilate((own > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
        near = ndimage.distance_transform_edt(inside, return_distances=False, return_indices=True)
        rows, columns = np.nonzero(uncovered)
        x, y = (np.rint(coordinates(flow)[rows, columns, k]).astype(int).clip(0, size[1 - k] - 1) for k in (0, 1))
        corrected = flow.copy()
        corrected[rows, columns] = np.stack([near[1, y, x] - columns, near[0, y, x] - rows], axis=1)
        corrected[around] = (-across, -down)
        return corrected, np.where(around, np.float32(1), np.where(uncovered, np.float32(0), visible))


def _resized(mask: Mask, size: Size) -> NDArray[np.float32]:
    return cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
