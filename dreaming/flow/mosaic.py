"""One large picture of a stretch of video without its subject, into which the frames of a moving camera are laid."""

from collections.abc import Mapping

import cv2
import numpy as np

from dreaming.flow.registration import Transform
from dreaming.io.types import Image, Mask, Size

MARGIN = 5  # pixels around a subject that are not trusted to be backdrop


class Mosaic:
    """What is known of the backdrop.

    Args:
        transforms: From each frame to the picture, by name.
        frame_size: (height, width) of the frames.
        size: (height, width) of the picture.

    Attributes:
        picture: (H, W, 3) as far as known, else black.
        known: (H, W).
    """

    def __init__(self, transforms: Mapping[str, Transform], frame_size: Size, size: Size) -> None:
        self._transforms, self._frame_size, self._size = transforms, frame_size, size
        self.picture: Image = np.zeros((*size, 3), np.uint8)
        self.known: Mask = np.zeros(size, bool)

    def learn(self, stem: str, image: Image, subject: Mask) -> None:
        """Take from a frame (H, W, 3) what is not known yet, away from its subject (H, W)."""
        around = cv2.dilate(subject.view(np.uint8), np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8))
        new = self.lay(stem, around == 0) & ~self.known
        self.picture[new] = self.show(stem, image)[new]
        self.known |= new

    def show(self, stem: str, image: Image) -> Image:
        """The picture with a frame (H, W, 3) laid over it."""
        if self._fits(stem):
            return image.copy()
        size, below = self._size[::-1], self.picture.copy()
        return cv2.warpPerspective(
            image, self._transforms[stem], size, below, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
        )

    def lay(self, stem: str, mask: Mask) -> Mask:
        """A frame's mask (H, W) in the picture; False beyond the frame."""
        if self._fits(stem):
            return mask.copy()
        size = self._size[::-1]
        laid = cv2.warpPerspective(mask.view(np.uint8), self._transforms[stem], size, flags=cv2.INTER_NEAREST)
        return laid.view(np.bool_)

    def insert(self, stem: str, mask: Mask, beyond: Mask) -> Mask:
        """A frame's mask (H, W) in the picture; beyond the frame, that of the picture (H, W)."""
        if self._fits(stem):
            return mask.copy()
        inside = self.lay(stem, np.ones(self._frame_size, bool))
        return np.where(inside, self.lay(stem, mask), beyond)

    def lift(self, stem: str, mask: Mask) -> Mask:
        """A mask of the picture (H, W) as the frame sees it; False beyond the picture."""
        if self._fits(stem):
            return mask
        back = np.linalg.inv(self._transforms[stem])
        return cv2.warpPerspective(mask.view(np.uint8), back, self._frame_size[::-1], flags=cv2.INTER_NEAREST).view(
            np.bool_
        )

    def _fits(self, stem: str) -> bool:
        return self._size == self._frame_size and np.array_equal(self._transforms[stem], np.eye(3))
