"""The contract of a guide: further channels beside the frame that tell the style network where things are."""

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
    """Further input channels of the style network.

    Subclasses are dataclasses: their fields are their config, and tell one result from another
    (``frames.manifest.describe``).

    Attributes:
        version: Of drawing from keyframes, raised on purpose when what comes of it changes.
    """

    version: ClassVar[int] = 1

    def inputs(self, clip: Clip, layer: Layer) -> dict[str, str]:
        """Fingerprint of each thing, beside its config, that it is drawn from, by name."""
        painted = [clip.keyframe_folder(layer), clip.keyframe_masks(layer)]
        keyframes = fingerprint([fingerprint_files(folder.files.values()) for folder in painted])
        return {"frames": clip.frames_fingerprint, "keyframes": keyframes, "version": str(self.version)}

    @property
    @abstractmethod
    def channels(self) -> int:
        """How many channels it adds."""

    @property
    def painting_channel(self) -> int | None:
        """First of three channels that are a painted picture of the frame, from which strokes may be copied."""
        return None

    @property
    def requires_masks(self) -> bool:
        """Whether it is drawn from the layer's masks, which then are made first."""
        return False

    @abstractmethod
    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's guide, in order, each the same whatever else is asked for, holding few at a time."""

    def training_examples(
        self, clip: Clip, layer: Layer, stems: Iterable[str], seed: int
    ) -> Iterator[tuple[str, Channels]]:
        """What to train with at the keyframes: as ``draw``, unless a guide knows more there than it will elsewhere.

        Such a guide yields a keyframe several times, each time as a frame without a keyframe would have it.

        Args:
            clip: The clip.
            layer: Whose keyframes.
            stems: Names of the keyframes.
            seed: Of what is drawn at random.
        """
        return self.draw(clip, layer, stems)
