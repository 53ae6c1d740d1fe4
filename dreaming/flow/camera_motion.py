"""Camera motion in an optical flow: its homography, and the flow that remains once it is removed."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.flow.registration import Transform
from dreaming.io.types import Flow, Mask

MIN_POINTS = 8  # an affine motion needs three, a homography four, and RANSAC a choice
GRID_POINTS = 1500  # approximate number of points compared
TOLERANCE = 1.0  # pixels by which an inlier may miss the common motion
MAX_ZOOM = 2.0  # largest plausible change of area between neighbouring frames


def residual_motion(flow: Flow, backdrop: Mask) -> Flow:
    """Subtract from a flow (H, W, 2) in pixels the affine motion that most of the backdrop (H, W) shares, by RANSAC.

    If too little of the backdrop is visible, the flow is returned as is.
    """
    points, targets = _grid_matches(flow, backdrop)
    if len(points) < MIN_POINTS:
        return flow
    # OpenCV's RANSAC uses its own generator with a fixed seed: the same flow gives the same motion.
    matrix, inliers = cv2.estimateAffine2D(points, targets, method=cv2.RANSAC, ransacReprojThreshold=TOLERANCE)
    if matrix is None or inliers.sum() < MIN_POINTS:
        return flow
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    (a, b, c), (d, e, f) = matrix.astype(np.float32) - np.eye(2, 3, dtype=np.float32)
    return flow - np.dstack([a * x + b * y + c, d * x + e * y + f])


def camera_homography(flow: Flow) -> Transform:
    """Estimate the homography that most of a flow (H, W, 2) in pixels agrees with, by RANSAC; static if in doubt."""
    points, targets = _grid_matches(flow, np.ones(flow.shape[:2], np.bool_))
    if len(points) < MIN_POINTS:
        return np.eye(3)
    matrix, inliers = cv2.findHomography(points, targets, cv2.RANSAC, TOLERANCE)
    if matrix is None or inliers.sum() < MIN_POINTS or not 1 / MAX_ZOOM < np.linalg.det(matrix[:2, :2]) < MAX_ZOOM:
        return np.eye(3)
    return matrix


def _grid_matches(flow: Flow, backdrop: Mask) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points (P, 2) of the backdrop on a grid, (x, y) in pixels, and where the flow takes them."""
    height, width = flow.shape[:2]
    step = max(1, round((height * width / GRID_POINTS) ** 0.5))
    rows, columns = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    usable = backdrop[rows, columns]
    points = np.stack([columns, rows], axis=-1)[usable].astype(np.float32)
    return points, points + flow[rows, columns][usable]
