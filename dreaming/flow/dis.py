"""Optical flow between two frames by dense inverse search (DIS)."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.constraints import NonNegativeInt, PositiveInt, Range
from dreaming.imaging.resize import resize_image
from dreaming.io.types import Flow, Image, Size

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
MIN_SIDE = 16
"""Shorter side in pixels below which the search has no room for its patches."""


@dataclass(frozen=True)
class DisFlow:
    """Dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016).

    A search parameter that is None takes the preset's value.

    Attributes:
        preset: OpenCV's preset.
        scale: Size at which frames are compared, relative to their own; the flow keeps that size.
        finest_scale: Last level of the search; 0 is the size given by ``scale``, each further level halves it.
        patch_stride: Distance between patches (8 pixels wide), in pixels.
        descent_iterations: Steps of gradient descent per patch.
        smoothing_iterations: Rounds of variational refinement per level.
    """

    kind: ClassVar[str] = "dis_flow"

    preset: Literal["ultrafast", "fast", "medium"] = "medium"
    scale: Annotated[float, Range(gt=0, le=1)] = 0.5
    finest_scale: NonNegativeInt | None = 0
    patch_stride: PositiveInt | None = None
    descent_iterations: PositiveInt | None = 12
    smoothing_iterations: NonNegativeInt | None = 1

    def working_size(self, size: Size) -> Size:
        """(height, width) of the flow between frames of ``size``."""
        scale = max(self.scale, MIN_SIDE / min(size))
        return round(size[0] * scale), round(size[1] * scale)

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Convert a frame to grey (h, w) at the working size, as ``between`` expects it."""
        return cv2.cvtColor(resize_image(image, self.working_size(image.shape[:2])), cv2.COLOR_RGB2GRAY)

    def between(self, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Flow:
        """Compute the flow (h, w, 2) from one prepared frame to another, in working pixels."""
        return self._search().calc(one, other, None)

    def refine(self, one: NDArray[np.uint8], other: NDArray[np.uint8], start: Flow, coarsest_scale: int) -> Flow:
        """Compute the flow as ``between`` does, starting from an approximate flow (h, w, 2) in working pixels.

        ``coarsest_scale`` is the first level of the search; a lower one keeps the result closer to ``start``.
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
