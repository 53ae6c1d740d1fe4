"""Camera motion, estimated from optical flow or from corners of the backdrop, and the registration of frames by it."""

import logging
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.imaging.exposure import match_exposure
from dreaming.io.types import Flow, Image, Mask, Size

log = logging.getLogger(__name__)

Transform = NDArray[np.float64]
"""(3, 3), maps homogeneous pixel coordinates (x, y, 1) of one image to those of another."""

MotionModel: TypeAlias = Literal["none", "affine", "homography"]
"""How the camera may move between two frames."""

MIN_POINTS = 8  # an affine motion needs three, a homography four, and RANSAC some to choose from
GRID_POINTS = 1500  # approximate number of points of a flow that are compared
FLOW_TOLERANCE = 1.0  # pixels by which an inlier of a flow may miss the common motion
MAX_ZOOM = 2.0  # largest plausible change of area between neighbouring frames
MAX_CORNERS = 1000  # corners tracked per frame
CORNER_TOLERANCE = 1.5  # pixels by which an inlier among the corners may miss the common motion
MIN_AGREEMENT = (
    1 / 3
)  # share of the corners that must agree: 0.7 to 0.99 in videos, 0.2 in the noise of a plain backdrop
MAX_ROUND_TRIP_ERROR = 1.0  # pixels by which a corner may miss itself after tracking forward and back


def residual_motion(flow: Flow, backdrop: Mask) -> Flow:
    """Subtract from a flow (H, W, 2) in pixels the affine motion that most of the backdrop (H, W) shares, by RANSAC.

    If too little of the backdrop is visible, the flow is returned as is.
    """
    points, targets = _grid_matches(flow, backdrop)
    matrix = _fit_motion(points, targets, "affine", FLOW_TOLERANCE)
    if matrix is None:
        return flow
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    (a, b, c), (d, e, f) = matrix[:2].astype(np.float32) - np.eye(2, 3, dtype=np.float32)
    return flow - np.dstack([a * x + b * y + c, d * x + e * y + f])


def camera_homography(flow: Flow) -> Transform:
    """Estimate the homography that most of a flow (H, W, 2) in pixels agrees with, by RANSAC; static if in doubt."""
    points, targets = _grid_matches(flow, np.ones(flow.shape[:2], np.bool_))
    matrix = _fit_motion(points, targets, "homography", FLOW_TOLERANCE)
    plausible = matrix is not None and 1 / MAX_ZOOM < np.linalg.det(matrix[:2, :2]) < MAX_ZOOM
    return matrix if matrix is not None and plausible else np.eye(3)


def camera_motion(before: Image, after: Image, backdrop: Mask, motion: MotionModel) -> Transform | None:
    """Estimate the transform of the backdrop between two frames (H, W, 3); None if too few corners agree.

    Corners of the backdrop (H, W) of ``before`` are tracked by sparse Lucas-Kanade flow forward and back. RANSAC finds
    the motion that most of them share. A change of exposure is compensated first.
    """
    first, second = (
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, match_exposure(after, before, backdrop))
    )
    corners = cv2.goodFeaturesToTrack(first, MAX_CORNERS, 0.005, 6, mask=backdrop.astype(np.uint8))
    if corners is None or len(corners) < MIN_POINTS:
        return None
    there, tracked, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, None, winSize=(15, 15), maxLevel=4)
    back, tracked_back, _ = cv2.calcOpticalFlowPyrLK(second, first, there, None, winSize=(15, 15), maxLevel=4)
    error = np.linalg.norm((back - corners).reshape(-1, 2), axis=1)
    good = (tracked.ravel() == 1) & (tracked_back.ravel() == 1) & (error < MAX_ROUND_TRIP_ERROR)
    points, targets = corners.reshape(-1, 2)[good], there.reshape(-1, 2)[good]
    return _fit_motion(points, targets, motion, CORNER_TOLERANCE, max(MIN_POINTS, len(corners) * MIN_AGREEMENT))


def accumulate_transforms(
    frames: Iterable[tuple[str, Image]], backdrops: Iterable[Mask], motion: MotionModel
) -> Iterator[Transform]:
    """Yield for each frame the transform to the first one, the product of the motions between neighbours.

    If no motion can be estimated, the camera is assumed not to move, with a warning. ``backdrops`` (H, W) are True
    where a frame shows no subject.
    """
    total, previous, lost = np.eye(3), None, list[str]()
    for (stem, image), backdrop in zip(frames, backdrops, strict=True):
        if previous is not None:
            step = camera_motion(previous[0], image, previous[1], motion)
            if step is None:
                lost.append(stem)
            else:
                total = total @ np.linalg.inv(step)
        yield total
        previous = image, backdrop
    if lost:
        text = "%d frames from %s on: no camera motion found since the previous frame; assuming a static camera"
        log.warning(text, len(lost), lost[0])


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


def _fit_motion(
    points: NDArray[np.float32],
    targets: NDArray[np.float32],
    motion: MotionModel,
    tolerance: float,
    min_inliers: float = MIN_POINTS,
) -> Transform | None:
    """Find the motion that most points (P, 2) share by RANSAC, whose seed is fixed; None if too few do."""
    if len(points) < MIN_POINTS:
        return None
    if motion == "homography":
        matrix, inliers = cv2.findHomography(points, targets, cv2.RANSAC, tolerance)
    else:
        matrix, inliers = cv2.estimateAffine2D(points, targets, method=cv2.RANSAC, ransacReprojThreshold=tolerance)
    if matrix is None or inliers.sum() < min_inliers:
        return None
    return matrix if len(matrix) == 3 else np.vstack([matrix, [0, 0, 1]])


def _grid_matches(flow: Flow, backdrop: Mask) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points (P, 2) of the backdrop on a grid, (x, y) in pixels, and where the flow takes them."""
    height, width = flow.shape[:2]
    step = max(1, round((height * width / GRID_POINTS) ** 0.5))
    rows, columns = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    usable = backdrop[rows, columns]
    points = np.stack([columns, rows], axis=-1)[usable].astype(np.float32)
    return points, points + flow[rows, columns][usable]
