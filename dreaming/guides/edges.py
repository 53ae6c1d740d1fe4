"""The edge guide: where the frame has outlines, whatever their colours."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import cv2
import numpy as np

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.errors import ConfigError
from dreaming.guides.base import Channels, Guide
from dreaming.io.manifest import NO_EFFECT
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image


@dataclass(frozen=True)
class EdgeGuide(Guide):
    """The colours' gradient: the length of the derivatives of L, a and b in x and y, of the blurred frame.

    Attributes:
        sigma: Of the Gaussian that blurs the frame, in pixels; the larger, the fewer details.
        full: Slope that is drawn white, in levels (0..255 each) a pixel.
        workers: Frames drawn at once.
        name: Of its node in the config, for messages.
    """

    kind: ClassVar[str] = "edge_guide"

    sigma: float = 1.5
    full: float = 40.0
    workers: int = field(default=2, metadata=NO_EFFECT)
    name: str = field(default="edges", metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        for name in ("sigma", "full"):
            if not getattr(self, name) > 0:
                found = str(getattr(self, name))
                raise ConfigError(f"guide.{self.name}.{name}", found=found, expected="above 0", hint="correct it")

    @property
    def channels(self) -> int:
        """How steep."""
        return 1

    def inputs(self, clip: Clip, layer: Layer) -> dict[str, str]:
        """The frames."""
        return {"frames": clip.frames_fingerprint}

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's edges, (H, W, 1), in order."""
        yield from prefetch_map(lambda stem: (stem, self.edges(clip.frames.read(stem))), stems, self.workers)

    def edges(self, image: Image) -> Channels:
        """How steeply the colours (H, W, 3) change at each pixel, (H, W, 1)."""
        lab = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32), (0, 0), self.sigma)
        # Scharr's filter weighs 16 pixels on each of two sides: divided by 32 it is the slope a pixel.
        slopes = [cv2.Scharr(lab, cv2.CV_32F, dx, 1 - dx, scale=1 / 32) for dx in (0, 1)]
        steepness = np.sqrt(np.square(slopes).sum(axis=(0, 3)))
        return np.rint(np.minimum(steepness / self.full, 1) * 255).astype(np.uint8)[..., None]
