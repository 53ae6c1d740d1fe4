"""The contract of every masker: fitted on a few hand masks, it streams a probability for each frame."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

from dreaming.frames.arrays import Image, Probability
from dreaming.frames.clip import Clip
from dreaming.frames.folder import ahead
from dreaming.frames.manifest import NO_EFFECT
from dreaming.frames.references import References


@dataclass
class Masker(ABC):
    """Cuts the subject out of every frame.

    Subclasses are dataclasses: their fields are their config, and those that change the result tell one result from
    another (``frames.manifest.describe``).
    """

    @abstractmethod
    def fit(self, clip: Clip, references: References) -> Self:
        """Learn from the references given, and from no other mask of the clip."""

    @abstractmethod
    def predict(self, clip: Clip, stems: Iterable[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's probability, float32 (H, W) in 0..1, in order, holding few frames at a time."""

    def learnt(self, clip: Clip, references: References) -> str:
        """Fingerprint of what ``fit`` would load from disk rather than learn anew; empty if it loads nothing."""
        return ""


@dataclass
class FrameMasker(Masker):
    """A masker that sees one frame at a time; frames are computed in parallel.

    Attributes:
        workers: Frames computed at once.
    """

    workers: int = field(default=2, kw_only=True, metadata=NO_EFFECT)

    @abstractmethod
    def predict_frame(self, image: Image) -> Probability:
        """The subject's probability (H, W) in 0..1 for one frame (H, W, 3)."""

    def predict(self, clip: Clip, stems: Iterable[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's probability, in order."""
        yield from ahead(lambda stem: (stem, self.predict_frame(clip.frames.read(stem))), stems, self.workers)
