"""Optical flow between two frames by dense inverse search."""

from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.errors import ConfigError
from dreaming.imaging.resize import resize_image
from dreaming.io.types import Flow, Image, Size

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
SMALLEST = 16
"""Pixels of the shorter side below which the search has no room for its patches."""
LEAST = {"finest_scale": 0, "patch_stride": 1, "descent_iterations": 1, "smoothing_iterations": 0}
"""Smallest values that a search can do with."""


@dataclass(frozen=True)
class DisFlow:
    """Dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016).

    Attributes:
        preset: Of OpenCV: ultrafast, fast or medium.
        scale: Size at which frames are compared, as a share of their own; the flow keeps that size.
        finest_scale: Last level of the search, each half as large as the one before, 0 for that of ``scale``; None for
            the preset's.
        patch_stride: Pixels between patches, 8 wide, that are searched for; None: the preset's.
        descent_iterations: Steps of gradient descent for each patch; None: the preset's.
        smoothing_iterations: Rounds of variational refinement at each level; None: the preset's.

    Raises:
        ConfigError: If a value is out of its range.
    """

    kind: ClassVar[str] = "dis_flow"

    preset: str = "medium"
    scale: float = 0.5
    finest_scale: int | None = 0
    patch_stride: int | None = None
    descent_iterations: int | None = 12
    smoothing_iterations: int | None = 1

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            presets = ", ".join(PRESETS)
            raise ConfigError(
                "data.flow.preset", found=str(self.preset), expected=f"one of {presets}", hint="correct it"
            )
        if not 0 < self.scale <= 1:
            raise ConfigError(
                "data.flow.scale", found=str(self.scale), expected="above 0, at most 1", hint="correct it"
            )
        check_search(
            "data.flow",
            finest_scale=self.finest_scale,
            patch_stride=self.patch_stride,
            descent_iterations=self.descent_iterations,
            smoothing_iterations=self.smoothing_iterations,
        )

    def working_size(self, size: Size) -> Size:
        """(height, width) of the flow between frames of ``size``."""
        scale = max(self.scale, SMALLEST / min(size))
        return round(size[0] * scale), round(size[1] * scale)

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Grey picture (h, w) at the working size, as ``between`` compares them."""
        return cv2.cvtColor(resize_image(image, self.working_size(image.shape[:2])), cv2.COLOR_RGB2GRAY)

    def between(self, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Flow:
        """Where each pixel of ``one`` lies in ``other``: flow (h, w, 2) in working pixels, of prepared pictures."""
        return self._search().calc(one, other, None)

    def refined(self, one: NDArray[np.uint8], other: NDArray[np.uint8], start: Flow, coarsest_scale: int) -> Flow:
        """As ``between``, searched for around a flow that is nearly right.

        Args:
            one: (h, w), prepared.
            other: (h, w), prepared.
            start: (h, w, 2) in working pixels.
            coarsest_scale: First level of the search; the lower, the nearer to ``start`` the flow stays.
        """
        search = self._search()
        search.setCoarsestScale(max(coarsest_scale, search.getFinestScale()))
        return search.calc(one, other, start.copy())

    def _search(self) -> Any:
        search = cv2.DISOpticalFlow.create(PRESETS[self.preset])
        for value, change in (
            (self.finest_scale, search.setFinestScale),
            (self.patch_stride, search.setPatchStride),
            (self.descent_iterations, search.setGradientDescentIterations),
            (self.smoothing_iterations, search.setVariationalRefinementIterations),
        ):
            if value is not None:
                change(value)
        return search


def check_search(key: str, **values: int | None) -> None:
    """Refuse values that OpenCV would die of or make nonsense of.

    Args:
        key: Of the config, under which the values stand.
        **values: By their names in ``DisFlow``; None: the preset's.

    Raises:
        ConfigError: If one is too small.
    """
    for name, value in values.items():
        if value is not None and value < LEAST[name]:
            expected = f"{LEAST[name]} or more, or null for the preset's"
            raise ConfigError(f"{key}.{name}", found=str(value), expected=expected, hint="correct it")
