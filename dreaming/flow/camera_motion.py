"""The camera's motion in a flow, and what moves by itself: the flow that is left when the camera's is taken out."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.flow.registration import Transform
from dreaming.io.types import Flow, Mask

FEWEST = 8  # points; an affine motion takes three, a homography four, and RANSAC some to choose from
POINTS = 1500  # about as many are compared, on a grid
SLACK = 1.0  # pixels by which a point may miss the common motion and still count
ZOOM = 2.0  # largest change of area between neighbouring frames that is believed

Points = NDArray[np.float32]
"""(P, 2), (x, y) in pixels."""


def leftover_motion(flow: Flow, backdrop: Mask) -> Flow:
    """The flow (H, W, 2) minus the affine motion that most of the backdrop shares, found by RANSAC.

    Args:
        flow: (H, W, 2) in pixels.
        backdrop: (H, W), where the camera's motion shows. With too little of it nothing is taken out.
    """
    points, targets = _followed(flow, backdrop)
    if len(points) < FEWEST:
        return flow
    # OpenCV's RANSAC draws from a generator of its own with a fixed seed: the same flow gives the same motion.
    matrix, agreeing = cv2.estimateAffine2D(points, targets, method=cv2.RANSAC, ransacReprojThreshold=SLACK)
    if matrix is None or agreeing.sum() < FEWEST:
        return flow
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    (a, b, c), (d, e, f) = matrix.astype(np.float32) - np.eye(2, 3, dtype=np.float32)
    return flow - np.dstack([a * x + b * y + c, d * x + e * y + f])


def camera_homography(flow: Flow) -> Transform:
    """Where the pixels of a frame's background lie in its neighbour: the homography most of the flow agrees with.

    Found by RANSAC over the whole frame. Where nothing plausible is found the camera is taken to stand still.

    Args:
        flow: (H, W, 2) in pixels.
    """
    points, targets = _followed(flow, np.ones(flow.shape[:2], np.bool_))
    if len(points) < FEWEST:
        return np.eye(3)
    matrix, agreeing = cv2.findHomography(points, targets, cv2.RANSAC, SLACK)
    if matrix is None or agreeing.sum() < FEWEST or not 1 / ZOOM < np.linalg.det(matrix[:2, :2]) < ZOOM:
        return np.eye(3)
    return matrix


def _followed(flow: Flow, backdrop: Mask) -> tuple[Points, Points]:
    """Points of the backdrop on a grid, and where the flow takes them."""
    height, width = flow.shape[:2]
    step = max(1, round((height * width / POINTS) ** 0.5))
    rows, columns = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    usable = backdrop[rows, columns]
    points = np.stack([columns, rows], axis=-1)[usable].astype(np.float32)
    return points, points + flow[rows, columns][usable]
