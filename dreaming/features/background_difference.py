"""How a frame differs from what other frames show in the same place, once the camera's motion is taken out.

A subject that moves hides its surroundings for a while only: before and after, other frames show them. As in ViBe
(Barnich and Van Droogenbroeck, "ViBe: A Universal Background Subtraction Algorithm for Video Sequences", IEEE
Transactions on Image Processing 2011) a frame is compared with samples, not with their mean, and no mask has a part in
it: how far to trust the differences is for a classifier to learn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.features.colour_likelihood import ColourLikelihood
from dreaming.flow.cache import FlowCache
from dreaming.flow.camera_motion import camera_homography
from dreaming.flow.registration import Transform
from dreaming.flow.warp import resize_flow
from dreaming.io.types import Image

QUANTILES = {"least": 0.0, "quarter": 0.25, "half": 0.5, "three_quarters": 0.75}
BLURRED = ("quarter", "half")
BLUR = 4.0  # working pixels, sigma

DIFFERENCES: tuple[str, ...] = (
    *(f"background_{name}" for name in QUANTILES),
    *(f"background_{name}_blurred" for name in BLURRED),
    "background_samples",
)
"""Names of the channels: quantiles of the differences to all samples (Lab, summed, / 50), some of them blurred, and how
many samples show the place (n / 50)."""

Differences = NDArray[np.float32]
"""(len(DIFFERENCES), h, w)."""


@dataclass(frozen=True)
class BackgroundSampling:
    """Which frames one is compared with, and how.

    Attributes:
        offsets: How many frames away they are, on either side.
        slack: Working pixels by which the registration may miss.
        sigma: Blur of each difference, in working pixels.
    """

    kind: ClassVar[str] = "background_sampling"

    offsets: Sequence[int] = (3, 6, 10, 15, 21, 28)
    slack: int = 1
    sigma: float = 1.0

    def __post_init__(self) -> None:
        if not self.offsets or min(self.offsets) < 1:
            found = str(list(self.offsets))
            raise ConfigError(
                "evidence background offsets", found=found, expected="whole numbers from 1", hint="correct it"
            )

    def differences(self, lab: Image, others: Iterable[tuple[Image, Transform]]) -> Differences:
        """The channels of a frame.

        Args:
            lab: The frame, (h, w, 3) 8-bit.
            others: Pictures of the same kind and size, each with where the frame's pixels lie in it.
        """
        size = lab.shape[:2]
        found = [self._difference(lab, *other) for other in others]
        if not found:
            return np.zeros((len(DIFFERENCES), *size), np.float32)
        # What lies outside of a sample sorts behind all others.
        ordered = np.sort(np.stack(found), axis=0)
        known = np.isfinite(ordered).sum(axis=0)
        planes = {}
        for name, share in QUANTILES.items():
            place = (share * np.maximum(known - 1, 0)).astype(np.intp)
            planes[name] = np.where(known > 0, np.take_along_axis(ordered, place[None], axis=0)[0], np.float32(0))
        blurred = [cv2.GaussianBlur(planes[name], (0, 0), BLUR) for name in BLURRED]
        stacked: Differences = np.stack([*planes.values(), *blurred, known]).astype(np.float32) / np.float32(50)
        return stacked

    def _difference(self, lab: Image, other: Image, transform: Transform) -> NDArray[np.float32]:
        """Sum over Lab of how far (h, w) colours are from any within the slack of their place; infinite outside."""
        height, width = lab.shape[:2]
        around = np.ones((2 * self.slack + 1,) * 2, np.uint8)
        lowest, highest, inside = (
            cv2.warpPerspective(picture, transform, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
            for picture in (cv2.erode(other, around), cv2.dilate(other, around), np.ones((height, width), np.uint8))
        )
        # Saturating, so that what lies within the two counts nothing.
        beyond = cv2.add(cv2.subtract(lowest, lab), cv2.subtract(lab, highest))
        difference = cv2.transform(beyond, np.ones((1, 3), np.float32)).astype(np.float32)
        if self.sigma > 0:
            difference = cv2.GaussianBlur(difference, (0, 0), self.sigma)
        difference[inside == 0] = np.inf
        return difference


class BackgroundDifference:
    """The channels of any frame of a clip; the frames around the last one and all camera motions are kept.

    Args:
        clip: The clip.
        flows: Its flow, from which the camera's motion is found.
        palette: Reads frames in Lab at the working size.
        samples: Which frames one is compared with.
    """

    def __init__(self, clip: Clip, flows: FlowCache, palette: ColourLikelihood, samples: BackgroundSampling) -> None:
        self._clip, self._flows, self._size, self._samples = clip, flows, palette.size, samples
        self._places = {stem: place for place, stem in enumerate(clip.stems)}
        self._lab = lru_cache(maxsize=2 * max(samples.offsets) + 3)(palette.lab)
        self._onward = lru_cache(maxsize=None)(self._step)

    def at(self, stem: str) -> Differences:
        """A frame's channels, (len(DIFFERENCES), h, w)."""
        place, names = self._places[stem], self._clip.stems
        near = [place + sign * offset for offset in self._samples.offsets for sign in (-1, 1)]
        others = ((self._lab(names[k]), self._between(place, k)) for k in near if 0 <= k < len(names))
        return self._samples.differences(self._lab(stem), others)

    def _between(self, start: int, end: int) -> Transform:
        """Where the background's pixels of one frame lie in another: the motions between neighbours, multiplied up."""
        first, last = min(start, end), max(start, end)
        total: Transform = np.eye(3)
        for place in range(first, last):
            total = self._onward(place) @ total
        return total if end >= start else np.asarray(np.linalg.inv(total))

    def _step(self, place: int) -> Transform:
        stem, following = self._clip.stems[place : place + 2]
        return camera_homography(resize_flow(self._flows.both_ways(stem, following)[0], self._size))
