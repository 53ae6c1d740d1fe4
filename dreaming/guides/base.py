"""The interface of a guide: input channels of the style network in addition to the frame."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import fingerprint, fingerprint_files
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.io.types import Image

Channels = NDArray[np.uint8]
"""(H, W, C) uint8, a guide of C channels."""


@dataclass(frozen=True)
class Guide(ABC):
    """Additional input channels of the style network; the fields of a subclass are its config.

    Attributes:
        channels: Number of channels.
        painting_channel: First of three channels that hold a stylised image of the frame; None: the guide has none.
        requires_masks: Whether the guide depends on the layer's masks, which have to be made first.
        version: Increased when the result for the same keyframes changes.
    """

    channels: ClassVar[int]
    painting_channel: ClassVar[int | None] = None
    requires_masks: ClassVar[bool] = False
    version: ClassVar[int] = 1

    def check(self, clip: Clip) -> None:  # noqa: B027 -- most guides have nothing to check
        """Check the user's own images, before any stage spends time."""

    def inputs(self, clip: Clip, layer: Layer) -> dict[str, str]:
        """Fingerprints, by name, of all that the guide depends on in addition to its config."""
        folders = [clip.keyframe_folder(layer), clip.keyframe_masks(layer)]
        keyframes = fingerprint([fingerprint_files(folder.files.values()) for folder in folders])
        return {"frames": clip.sequence_fingerprint, "keyframes": keyframes, "version": str(self.version)}

    @abstractmethod
    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's guide, in order, with few frames in memory.

        The guide of a frame does not depend on which others are requested.
        """

    def training_examples(
        self, clip: Clip, layer: Layer, stems: Iterable[str], seed: int
    ) -> Iterator[tuple[str, Channels]]:
        """Yield the guides of the named keyframes for training; by default, as ``draw`` yields them.

        A guide that contains more information at keyframes than at other frames yields each keyframe one or more times,
        as if it were not a keyframe; ``seed`` is that of random draws.
        """
        return self.draw(clip, layer, stems)


class ImageGuide(Guide):
    """A guide of any single image: unlike others, it needs neither the clip's other frames nor its keyframes."""

    @abstractmethod
    def draw_image(self, image: Image) -> Channels:
        """Draw the guide (H, W, C) of an image (H, W, 3)."""
