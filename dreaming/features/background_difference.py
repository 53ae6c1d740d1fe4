"""Difference of a frame from other frames at the same position, after compensation of the camera's motion.

A moving subject hides its background only for a while: earlier and later frames show it. As in ViBe (Barnich and Van
Droogenbroeck, "ViBe: A Universal Background Subtraction Algorithm for Video Sequences", IEEE Transactions on Image
Processing 2011), a frame is compared with samples instead of their mean. No mask is involved; a classifier
decides how reliable the differences are.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.camera_motion import Transform, camera_homography
from dreaming.flow.warp import resize_flow
from dreaming.io.types import Image, Size

QUANTILES = {"minimum": 0.0, "quarter": 0.25, "half": 0.5, "three_quarters": 0.75}
BLURRED = ("quarter", "half")
BLUR_SIGMA = 4.0  # working pixels
OFFSETS = (3, 6, 10, 15, 21, 28)  # frames, to the frames that a frame is compared with
SLACK = 1  # working pixels, tolerated registration error
SIGMA = 1.0  # working pixels, blur of each difference
CACHE_BYTES = 2**26  # memory for recently read frames, 218 of 427x240: every fit reads those around hand masks
CACHED_MOTIONS = 2**12  # between neighbouring frames, 1 MB; one takes 33 ms, and all fits need the same ones

BACKGROUND_CHANNELS: tuple[str, ...] = (
    *(f"background_{name}" for name in QUANTILES),
    *(f"background_{name}_blurred" for name in BLURRED),
    "background_samples",
)
"""Names of the channels: quantiles of the differences from all samples (summed over Lab, / 50), some of them blurred,
and the number of samples that show the pixel (n / 50)."""

BackgroundMaps = NDArray[np.float32]
"""(len(BACKGROUND_CHANNELS), h, w)."""


def background_maps(
    lab: Image, samples: Iterable[tuple[Image, Transform]], slack: int = SLACK, sigma: float = SIGMA
) -> BackgroundMaps:
    """Compute the background channels of a frame (h, w, 3), 8-bit Lab, from samples and the transforms to them.

    ``slack`` is the tolerated registration error, ``sigma`` the blur of each difference (0: none), in working pixels.
    """
    differences = [_difference(lab, *sample, slack, sigma) for sample in samples]
    if not differences:
        return np.zeros((len(BACKGROUND_CHANNELS), *lab.shape[:2]), np.float32)
    # Pixels outside a sample are infinite and sort last.
    ordered = np.sort(np.stack(differences), axis=0)
    count = np.isfinite(ordered).sum(axis=0)
    planes = {}
    for name, quantile in QUANTILES.items():
        index = (quantile * np.maximum(count - 1, 0)).astype(np.intp)
        planes[name] = np.where(count > 0, np.take_along_axis(ordered, index[None], axis=0)[0], np.float32(0))
    blurred = [cv2.GaussianBlur(planes[name], (0, 0), BLUR_SIGMA) for name in BLURRED]
    stacked: BackgroundMaps = np.stack([*planes.values(), *blurred, count]).astype(np.float32) / np.float32(50)
    return stacked


def _difference(lab: Image, sample: Image, transform: Transform, slack: int, sigma: float) -> NDArray[np.float32]:
    """Distance (h, w), summed over Lab, to the range of colours within ``slack`` pixels; infinite outside."""
    height, width = lab.shape[:2]
    window = np.ones((2 * slack + 1,) * 2, np.uint8)
    lowest, highest, inside = (
        cv2.warpPerspective(picture, transform, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
        for picture in (cv2.erode(sample, window), cv2.dilate(sample, window), np.ones((height, width), np.uint8))
    )
    # Saturating subtraction: a colour within the range has distance 0.
    beyond = cv2.add(cv2.subtract(lowest, lab), cv2.subtract(lab, highest))
    difference = cv2.transform(beyond, np.ones((1, 3), np.float32)).astype(np.float32)
    if sigma > 0:
        difference = cv2.GaussianBlur(difference, (0, 0), sigma)
    difference[inside == 0] = np.inf
    return difference


class BackgroundDifference:
    """Background channels of any frame of a clip; caches recently read frames and recent camera motions.

    ``lab`` reads a frame at the working size; ``offsets`` are the distances, in frames, of the samples on both sides.

    Attributes:
        lab: Reads a frame, or returns it from the cache.
    """

    def __init__(
        self,
        clip: Clip,
        flows: FlowCache,
        lab: Callable[[str], Image],
        size: Size,
        offsets: Sequence[int] = OFFSETS,
    ) -> None:
        self._clip, self._flows, self._size, self._offsets = clip, flows, size, offsets
        self._indices = {stem: index for index, stem in enumerate(clip.stems)}
        self.lab = lru_cache(maxsize=max(2 * max(offsets) + 3, CACHE_BYTES // (3 * size[0] * size[1])))(lab)
        self._to_next = lru_cache(maxsize=CACHED_MOTIONS)(self._camera_step)

    def compute(self, stem: str) -> BackgroundMaps:
        """A frame's channels, (len(BACKGROUND_CHANNELS), h, w)."""
        stems, index = self._clip.stems, self._indices[stem]
        inside = self._clip.shots.around(stem, max(self._offsets))
        near = [index + sign * offset for offset in self._offsets for sign in (-1, 1)]
        samples = ((self.lab(stems[k]), self._between(stem, stems[k])) for k in near if k in inside)
        return background_maps(self.lab(stem), samples)

    def _between(self, one: str, other: str) -> Transform:
        """Transform of the background from one frame to another, the product of the motions between neighbours."""
        start, end = self._indices[one], self._indices[other]
        first, last = min(start, end), max(start, end)
        total: Transform = np.eye(3)
        for index in range(first, last):
            total = self._to_next(index) @ total
        return total if end >= start else np.asarray(np.linalg.inv(total))

    def _camera_step(self, index: int) -> Transform:
        stem, following = self._clip.stems[index : index + 2]
        return camera_homography(resize_flow(self._flows.both_ways(stem, following)[0], self._size))
