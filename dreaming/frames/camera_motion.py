"""What moves by itself: the flow that is left when the camera's motion is taken out."""

import cv2
import numpy as np

from dreaming.frames.arrays import Flow, Mask

FEWEST = 8  # points; an affine motion takes three, and RANSAC some to choose from
POINTS = 1500  # about as many are compared, on a grid
SLACK = 1.0  # pixels by which a point may miss the common motion and still count


def leftover_motion(flow: Flow, backdrop: Mask) -> Flow:
    """The flow (H, W, 2) minus the affine motion that most of the backdrop shares, found by RANSAC.

    Args:
        flow: (H, W, 2) in pixels.
        backdrop: (H, W), where the camera's motion shows. With too little of it nothing is taken out.
    """
    height, width = flow.shape[:2]
    step = max(1, round((height * width / POINTS) ** 0.5))
    rows, columns = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    usable = backdrop[rows, columns]
    points = np.stack([columns, rows], axis=-1)[usable].astype(np.float32)
    if len(points) < FEWEST:
        return flow
    targets = points + flow[rows, columns][usable]
    # OpenCV's RANSAC draws from a generator of its own with a fixed seed: the same flow gives the same motion.
    matrix, agreeing = cv2.estimateAffine2D(points, targets, method=cv2.RANSAC, ransacReprojThreshold=SLACK)
    if matrix is None or agreeing.sum() < FEWEST:
        return flow
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    (a, b, c), (d, e, f) = matrix.astype(np.float32) - np.eye(2, 3, dtype=np.float32)
    return flow - np.dstack([a * x + b * y + c, d * x + e * y + f])
