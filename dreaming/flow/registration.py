"""Registration of frames by the motion of the camera, estimated from everything except the subject."""

import logging
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.io.types import Image, Mask, Size

log = logging.getLogger(__name__)

Transform = NDArray[np.float64]
"""(3, 3), maps homogeneous pixel coordinates (x, y, 1) of one image to those of another."""

MotionModel: TypeAlias = Literal["none", "affine", "homography"]
"""How the camera may move between two frames."""

MIN_POINTS = 8  # a homography needs four, and RANSAC some to choose from
MAX_CORNERS = 1000  # corners tracked per frame
TOLERANCE = 1.5  # pixels by which an inlier may miss the common motion
MAX_ROUND_TRIP_ERROR = 1.0  # pixels by which a corner may miss itself after tracking forward and back


def camera_motion(before: Image, after: Image, backdrop: Mask, motion: MotionModel) -> Transform | None:
    """Estimate the transform of the backdrop between two frames (H, W, 3); None if too few corners agree.

    Corners of the backdrop (H, W) of ``before`` are tracked by sparse Lucas-Kanade flow forward and back. RANSAC finds
    the motion that most of them share.
    """
    first, second = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after))
    corners = cv2.goodFeaturesToTrack(first, MAX_CORNERS, 0.005, 6, mask=backdrop.astype(np.uint8))
    if corners is None or len(corners) < MIN_POINTS:
        return None
    there, tracked, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, None, winSize=(15, 15), maxLevel=4)
    back, tracked_back, _ = cv2.calcOpticalFlowPyrLK(second, first, there, None, winSize=(15, 15), maxLevel=4)
    error = np.linalg.norm((back - corners).reshape(-1, 2), axis=1)
    good = (tracked.ravel() == 1) & (tracked_back.ravel() == 1) & (error < MAX_ROUND_TRIP_ERROR)
    if good.sum() < MIN_POINTS:
        return None
    origin, target = corners.reshape(-1, 2)[good], there.reshape(-1, 2)[good]
    if motion == "homography":
        matrix, inliers = cv2.findHomography(origin, target, cv2.RANSAC, TOLERANCE)
    else:
        matrix, inliers = cv2.estimateAffine2D(origin, target, method=cv2.RANSAC, ransacReprojThreshold=TOLERANCE)
    if matrix is None or inliers.sum() < MIN_POINTS:
        return None
    return matrix if len(matrix) == 3 else np.vstack([matrix, [0, 0, 1]])


def accumulate_transforms(
    frames: Iterable[tuple[str, Image]], backdrops: Iterable[Mask], motion: MotionModel
) -> Iterator[Transform]:
    """Yield for each frame the transform to the first one, the product of the motions between neighbours.

    If no motion can be estimated, the camera is assumed not to move, with a warning. ``backdrops`` (H, W) are True
    where a frame shows no subject.
    """
    total, previous = np.eye(3), None
    for (stem, image), backdrop in zip(frames, backdrops, strict=True):
        if previous is not None:
            step = camera_motion(previous[0], image, previous[1], motion)
            if step is None:
                log.warning("%s: no camera motion found since the previous frame; assuming a static camera", stem)
            else:
                total = total @ np.linalg.inv(step)
        yield total
        previous = image, backdrop


def mosaic_extent(transforms: Iterable[Transform], size: Size, largest: float) -> tuple[Transform, Size]:
    """Find the mosaic that contains all frames of ``size``, given the transform from each to the first one.

    It is at most ``largest`` times as high and wide as a frame; the rest is cut off.

    Returns:
        The transform from the first frame to the mosaic, and the mosaic's (height, width).
    """
    height, width = size
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], float)
    corners_moved = np.concatenate([cv2.perspectiveTransform(corners, transform)[0] for transform in transforms])
    reach = (largest - 1) / 2 * np.array([width, height])
    low = np.floor(np.maximum(corners_moved.min(axis=0), -reach)).clip(max=0)
    high = np.ceil(np.minimum(corners_moved.max(axis=0), np.array([width, height]) + reach)).clip(min=[width, height])
    shift = np.eye(3)
    shift[:2, 2] = -low
    across, down = (high - low).astype(int)
    return shift, (int(down), int(across))
