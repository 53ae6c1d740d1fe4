"""The interface of a guide: input channels of the style network in addition to the frame."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.io.manifest import fingerprint, fingerprint_files

Channels = NDArray[np.uint8]
"""(H, W, C) uint8, a guide of C channels."""


@dataclass(frozen=True)
class Guide(ABC):
    """Additional input channels of the style network.

    Subclasses are dataclasses; their fields are their config and enter the fingerprint of what they draw
    (``io.manifest.describe``).

    Attributes:
        version: Increased when the result for the same keyframes changes.
    """

    version: ClassVar[int] = 1

    def inputs(self, clip: Clip, layer: Layer) -> dict[str, str]:
        """Fingerprints, by name, of all that the guide depends on in addition to its config."""
        folders = [clip.keyframe_folder(layer), clip.keyframe_masks(layer)]
        keyframes = fingerprint([fingerprint_files(folder.files.values()) for folder in folders])
        return {"frames": clip.frames_fingerprint, "keyframes": keyframes, "version": str(self.version)}

    @property
    @abstractmethod
    def channels(self) -> int:
        """Number of channels."""

    @property
    def painting_channel(self) -> int | None:
        """First of three channels that hold a stylised image of the frame; None: the guide has none."""
        return None

    @property
    def requires_masks(self) -> bool:
        """Whether the guide depends on the layer's masks, which have to be made first."""
        return False

    @abstractmethod
    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's guide, in order; hold few frames in memory.

        A frame's guide does not depend on which other frames are requested.
        """

    def training_examples(
        self, clip: Clip, layer: Layer, stems: Iterable[str], seed: int
    ) -> Iterator[tuple[str, Channels]]:
        """Yield the guides of the keyframes for training; by default, as ``draw`` yields them.

        A guide that contains more information at keyframes than at other frames yields each keyframe one or more times,
        as if it were not a keyframe.

        Args:
            clip: The clip.
            layer: The layer whose keyframes are trained on.
            stems: Names of the keyframes.
            seed: Seed of random draws.
        """
        return self.draw(clip, layer, stems)
