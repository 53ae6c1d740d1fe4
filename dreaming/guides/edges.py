"""The edge guide: strength of the frame's edges."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import cv2
import numpy as np

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.constraints import PositiveFloat, Range, Workers
from dreaming.guides.base import Channels, ImageGuide
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image


@dataclass(frozen=True)
class EdgeGuide(ImageGuide):
    """Length of the colour gradient: the derivatives of L, a and b in x and y of the blurred frame.

    Attributes:
        sigma: Gaussian blur of the frame in pixels; a larger one leaves fewer details.
        max_slope: Slope that is drawn white, in levels (0..255) per pixel.
    """

    kind: ClassVar[str] = "edge_guide"
    channels: ClassVar[int] = 1

    sigma: Annotated[float, Range(gt=0, le=1000)] = 1.5
    max_slope: PositiveFloat = 40.0
    workers: Workers = field(default=2, metadata=NO_EFFECT)

    def inputs(self, clip: Clip, layer: Layer) -> dict[str, str]:
        """The frames' fingerprint."""
        return {"frames": clip.frames_fingerprint}

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's edges, (H, W, 1), in order."""
        yield from prefetch_map(lambda stem: (stem, self.draw_image(clip.frames.read(stem))), stems, self.workers)

    def draw_image(self, image: Image) -> Channels:
        """Slope of the colours (H, W, 3) at each pixel, (H, W, 1)."""
        lab = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32), (0, 0), self.sigma)
        # The weights of Scharr's filter sum to 16 on each of two sides: divided by 32 it is the slope per pixel.
        slopes = [cv2.Scharr(lab, cv2.CV_32F, dx, 1 - dx, scale=1 / 32) for dx in (0, 1)]
        length = np.sqrt(np.square(slopes).sum(axis=(0, 3)))
        return np.rint(np.minimum(length / self.max_slope, 1) * 255).astype(np.uint8)[..., None]
