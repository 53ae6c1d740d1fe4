"""A background mosaic: the frames of a moving camera registered into one large image, without the subject."""

from collections.abc import Mapping

import cv2
import numpy as np

from dreaming.flow.camera_motion import Transform
from dreaming.imaging.exposure import match_exposure
from dreaming.io.types import Image, Mask, Size

MARGIN = 5  # pixels around the subject that are not taken for background


class Mosaic:
    """The background as far as the frames show it.

    Args:
        transforms: From each frame to the mosaic, by frame name.
        frame_size: (height, width) of the frames.
        size: (height, width) of the mosaic.

    Attributes:
        image: (H, W, 3), black where unknown.
        known: (H, W), where the background is known.
    """

    def __init__(self, transforms: Mapping[str, Transform], frame_size: Size, size: Size) -> None:
        self._transforms, self._frame_size, self._size = transforms, frame_size, size
        self.image: Image = np.zeros((*size, 3), np.uint8)
        self.known: Mask = np.zeros(size, bool)

    def add(self, stem: str, image: Image, subject: Mask) -> None:
        """Fill unknown background from a frame (H, W, 3), away from its subject (H, W), in the same exposure."""
        around = cv2.dilate(subject.view(np.uint8), np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8))
        backdrop = self.warp_mask(stem, around == 0)
        new = backdrop & ~self.known
        self.image[new] = match_exposure(self.overlay(stem, image), self.image, backdrop & self.known)[new]
        self.known |= new

    def overlay(self, stem: str, image: Image) -> Image:
        """Return the mosaic with a frame (H, W, 3) laid over it."""
        if self._is_frame(stem):
            return image.copy()
        size, below = self._size[::-1], self.image.copy()
        return cv2.warpPerspective(
            image, self._transforms[stem], size, below, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
        )

    def warp_mask(self, stem: str, mask: Mask) -> Mask:
        """Warp a frame's mask (H, W) to the mosaic; False outside the frame."""
        if self._is_frame(stem):
            return mask.copy()
        size = self._size[::-1]
        warped = cv2.warpPerspective(mask.view(np.uint8), self._transforms[stem], size, flags=cv2.INTER_NEAREST)
        return warped.view(np.bool_)

    def insert_mask(self, stem: str, mask: Mask, outside: Mask) -> Mask:
        """Warp a frame's mask (H, W) to the mosaic; outside the frame, take the mosaic's mask ``outside`` (H, W)."""
        if self._is_frame(stem):
            return mask.copy()
        inside = self.warp_mask(stem, np.ones(self._frame_size, bool))
        return np.where(inside, self.warp_mask(stem, mask), outside)

    def extract_mask(self, stem: str, mask: Mask) -> Mask:
        """Warp a mask of the mosaic (H, W) to a frame; False outside the mosaic."""
        if self._is_frame(stem):
            return mask
        back = np.linalg.inv(self._transforms[stem])
        return cv2.warpPerspective(mask.view(np.uint8), back, self._frame_size[::-1], flags=cv2.INTER_NEAREST).view(
            np.bool_
        )

    def _is_frame(self, stem: str) -> bool:
        return self._size == self._frame_size and np.array_equal(self._transforms[stem], np.eye(3))
