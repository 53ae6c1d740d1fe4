"""Camera motion: frames registered to one another by what is not the subject."""

import logging
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.io.types import Image, Mask, Size

log = logging.getLogger(__name__)

Transform = NDArray[np.float64]
"""(3, 3), takes homogeneous pixel coordinates (x, y, 1) of one picture to those of another."""

FEWEST = 8  # points; a homography takes four, and RANSAC some to choose from
SLACK = 1.5  # pixels by which a point may miss the common motion and still count


MotionModel: TypeAlias = Literal["none", "affine", "homography"]
"""How a camera may move between two frames."""


def camera_motion(
    before: Image, after: Image, backdrop: Mask, motion: MotionModel, points: int = 1000
) -> Transform | None:
    """Where a pixel of the backdrop of one frame lies in the next.

    Corners are followed by sparse Lucas-Kanade flow, there and back; the motion most of them share is found by RANSAC.

    Args:
        before: (H, W, 3).
        after: (H, W, 3).
        backdrop: (H, W), where corners may be taken from ``before``.
        motion: What kind of motion to look for.
        points: How many corners to follow.

    Returns:
        From coordinates of ``before`` to those of ``after``; None if too few corners agree.
    """
    if motion == "none":
        return np.eye(3)
    first, second = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, after))
    corners = cv2.goodFeaturesToTrack(first, points, 0.005, 6, mask=backdrop.astype(np.uint8))
    if corners is None or len(corners) < FEWEST:
        return None
    there, found, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, None, winSize=(15, 15), maxLevel=4)
    back, found_again, _ = cv2.calcOpticalFlowPyrLK(second, first, there, None, winSize=(15, 15), maxLevel=4)
    strayed = np.linalg.norm((back - corners).reshape(-1, 2), axis=1)
    good = (found.ravel() == 1) & (found_again.ravel() == 1) & (strayed < 1)
    if good.sum() < FEWEST:
        return None
    origin, target = corners.reshape(-1, 2)[good], there.reshape(-1, 2)[good]
    if motion == "homography":
        matrix, agreeing = cv2.findHomography(origin, target, cv2.RANSAC, SLACK)
    else:
        matrix, agreeing = cv2.estimateAffine2D(origin, target, method=cv2.RANSAC, ransacReprojThreshold=SLACK)
    if matrix is None or agreeing.sum() < FEWEST:
        return None
    return matrix if len(matrix) == 3 else np.vstack([matrix, [0, 0, 1]])


def accumulate_transforms(
    frames: Iterable[tuple[str, Image]], backdrops: Iterable[Mask], motion: MotionModel
) -> Iterator[Transform]:
    """For each frame, where its pixels lie in the first one: the motions between neighbours, multiplied up.

    Where no motion can be found the camera is taken to stand still, with a warning.

    Args:
        frames: Names and pictures (H, W, 3), in order.
        backdrops: (H, W) for each frame, where it shows no subject.
        motion: What kind of motion to look for.
    """
    total, before, behind = np.eye(3), None, None
    for (stem, image), backdrop in zip(frames, backdrops, strict=True):
        if before is not None and behind is not None:
            step = camera_motion(before, image, behind, motion)
            if step is None:
                log.warning("%s: no camera motion found, taken to stand still since the frame before", stem)
            else:
                total = total @ np.linalg.inv(step)
        yield total
        before, behind = image, backdrop


def mosaic_extent(transforms: Iterable[Transform], size: Size, largest: float) -> tuple[Transform, Size]:
    """A picture large enough for all frames, as seen from the first one.

    Args:
        transforms: From each frame to the first one.
        size: (height, width) of the frames.
        largest: Height and width it may have, in those of a frame; what lies beyond is cut off.

    Returns:
        From the first frame to the canvas, and the canvas's (height, width).
    """
    height, width = size
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], float)
    places = np.concatenate([cv2.perspectiveTransform(corners, transform)[0] for transform in transforms])
    reach = (largest - 1) / 2 * np.array([width, height])
    low = np.floor(np.maximum(places.min(axis=0), -reach)).clip(max=0)
    high = np.ceil(np.minimum(places.max(axis=0), np.array([width, height]) + reach)).clip(min=[width, height])
    shift = np.eye(3)
    shift[:2, 2] = -low
    across, down = (high - low).astype(int)
    return shift, (int(down), int(across))
