"""Masks tracked from the hand masks by SAM 2.1 (Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024)."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import NO_EFFECT, digest
from dreaming.clip.clip import Clip
from dreaming.clip.intervals import FrameInterval
from dreaming.clip.shots import Shots
from dreaming.errors import ParameterError
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.types import Probability
from dreaming.maskers.base import Predictions, SequenceMasker, between_equal_masks
from dreaming.maskers.pretrained.sam2_network import Sam2Size, find_sam2, load_predictor, track

BYTES = 0.1
"""Size per pixel of a probability in the temporary file, compressed: an upper estimate, as of stored predictions."""


@dataclass
class Sam2Masker(SequenceMasker):
    """Track the hand masks at both ends of an interval through it, in both directions, by SAM 2.1's video predictor.

    The masks of both directions are blended by distance in time. Hand masks are kept. In a shot without a hand mask
    there is no subject.

    Attributes:
        checkpoint: The weights of SAM 2.1.
        size: The network that they belong to.
        digest: Digest of the file's bytes.

    Raises:
        ParameterError: If there is no such file.
        DreamingError: If the package ``sam2`` is missing.
    """

    kind: ClassVar[str] = "sam2_masker"

    checkpoint: str | None = field(default=None, metadata=NO_EFFECT)
    size: Sam2Size = "tiny"
    digest: str = field(init=False, metadata={"effect": True})

    def __post_init__(self) -> None:
        try:
            self.digest = digest(Path(self.checkpoint or ""))
        except OSError as error:
            found = "none" if self.checkpoint is None else f"{self.checkpoint} ({error.strerror})"
            hint = f"name the file, such as sam2.1_hiera_{self.size}.pt"
            raise ParameterError("checkpoint", found=found, expected="weights of SAM 2.1", hint=hint) from None
        find_sam2()

    def unchanged(self, shots: Shots, before: Mapping[str, str], now: Mapping[str, str]) -> frozenset[str]:
        """Frames between the same hand masks."""
        return between_equal_masks(shots, before, now)

    def predict_interval(self, clip: Clip, interval: FrameInterval, wanted: frozenset[str]) -> Predictions:
        """Yield the wanted frames of an interval, in order."""
        if interval.left is None and interval.right is None:
            yield from ((stem, np.zeros(clip.size, np.float32)) for stem in interval.stems if stem in wanted)
            return
        items = 0 if interval.right is None else len(interval.stems)
        with DiskBuffer(clip.path, "backward masks", items, BYTES * math.prod(clip.size)) as buffer:
            if interval.right is not None:
                for stem, probability in self._tracked(clip, interval, reverse=True):
                    buffer.write(stem, [np.rint(255 * probability).astype(np.uint8)])

            def backward(stem: str) -> NDArray[np.float32]:
                return buffer.read(stem)[0] * np.float32(1 / 255)

            if interval.left is None:
                yield from ((stem, backward(stem)) for stem in interval.stems if stem in wanted)
                return
            for steps, (stem, probability) in enumerate(self._tracked(clip, interval), start=1):
                share = np.float32(0 if interval.right is None else steps / (len(interval.stems) + 1))
                if stem in wanted:
                    yield stem, probability if not share else (1 - share) * probability + share * backward(stem)

    def _tracked(
        self, clip: Clip, interval: FrameInterval, *, reverse: bool = False
    ) -> Iterator[tuple[str, Probability]]:
        """Yield all frames of an interval in the order of tracking."""
        stems = [stem for stem in (interval.left, *interval.stems, interval.right) if stem is not None]
        masks = {index: self._masks[stem] for index, stem in enumerate(stems) if stem not in interval.stems}
        predictor = load_predictor(Path(self.checkpoint or ""), self.digest, self.size)
        for index, probability in track(
            predictor, lambda index: clip.frames.read(stems[index]), len(stems), masks, reverse=reverse
        ):
            if index not in masks:
                yield stems[index], probability
