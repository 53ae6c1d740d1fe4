"""Masks of another masker, their outline found anew by graph cut."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.split import Split
from dreaming.errors import ConfigError
from dreaming.imaging.morphology import fill_holes
from dreaming.io.manifest import NO_EFFECT
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image, Mask, Probability
from dreaming.maskers.base import Masker

SURROUNDINGS = 3  # in widths of the unsure band: how much backdrop around it the colours are learnt from


@dataclass
class GrabCutMasker(Masker):
    """Refine another masker's outline by "GrabCut" (Rother, Kolmogorov and Blake 2004).

    Only pixels in a band around the outline are unsure; the others stay as the other masker has them.

    Attributes:
        seed: The other masker; it is fitted on the same hand masks.
        inner: Width of the band inside the outline, in pixels of a frame.
        outer: Width of the band outside the outline, in pixels of a frame.
        iterations: Rounds of learning colours and cutting.
        scale: Size the cut is made at, relative to the frame's, above 0 up to 1.
        holes: Largest hole that is filled, as a share of the frame's area; None for no filling.
        randomness: Seed of the clusters that the colour models start from.
        workers: Frames computed at once.

    Raises:
        ConfigError: If a value is out of its range.
    """

    kind: ClassVar[str] = "grab_cut_masker"

    seed: Masker
    inner: int = 3
    outer: int = 3
    iterations: int = 2
    scale: float = 1.0
    holes: float | None = 0.001
    randomness: int = 0
    workers: int = field(default=2, kw_only=True, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        for key, fits, expected in (
            ("scale", 0 < self.scale <= 1, "above 0 up to 1"),
            ("iterations", self.iterations >= 1, "1 or more"),
            ("inner", self.inner >= 0, "0 pixels or more"),
            ("outer", self.outer >= 0, "0 pixels or more"),
        ):
            if not fits:
                found = str(getattr(self, key))
                raise ConfigError(f"masker.grabcut.{key}", found=found, expected=expected, hint="correct it")

    def fitted_fingerprint(self, clip: Clip, references: References) -> str:
        """Fingerprint of what the other masker would load."""
        return self.seed.fitted_fingerprint(clip, references)

    def fit(self, clip: Clip, references: References) -> Self:
        """Fit the other masker."""
        self.seed.fit(clip, references)
        return self

    def fit_without(self, clip: Clip, references: References, left_out: References) -> Self:
        """Fit the other masker without some of the references."""
        self.seed.fit_without(clip, references, left_out)
        return self

    def training_stems(self, split: Split) -> frozenset[str]:
        """Names of the hand-masked frames whose masks the other masker may reach."""
        return self.seed.training_stems(split)

    @property
    def fit_report(self) -> Mapping[str, Any]:
        """What the other masker's fit found."""
        return self.seed.fit_report

    def prepare(self, clip: Clip, stems: Sequence[str]) -> Self:
        """Make what the other masker builds on."""
        self.seed.prepare(clip, stems)
        return self

    def predict(self, clip: Clip, stems: Iterable[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's mask as 0 and 1, in order."""

        def refined(guess: tuple[str, Probability]) -> tuple[str, Probability]:
            stem, probability = guess
            return stem, self.refine(clip.frames.read(stem), probability > 0.5).astype(np.float32)

        yield from prefetch_map(refined, self.seed.predict(clip, stems), self.workers)

    def refine(self, image: Image, mask: Mask) -> Mask:
        """A mask (H, W) with its outline moved, within the band, to where a frame (H, W, 3) has an edge."""
        unsure = self._unsure(mask)
        rows, columns = self._window(unsure)
        if not unsure.any() or mask[rows, columns].all() or not mask[rows, columns].any():
            return mask
        found = mask.copy()
        cut = self._cut(image[rows, columns], mask[rows, columns], unsure[rows, columns])
        found[rows, columns][unsure[rows, columns]] = cut[unsure[rows, columns]]
        return found if self.holes is None else fill_holes(found, self.holes)

    def _unsure(self, mask: Mask) -> Mask:
        """The band (H, W) around the outline."""
        picture = mask.view(np.uint8)
        sure = cv2.erode(picture, _disc(self.inner))
        possible = cv2.dilate(picture, _disc(self.outer))
        return (possible > 0) & (sure == 0)

    def _window(self, unsure: Mask) -> tuple[slice, slice]:
        """Rows and columns around the band, all that the cut has to see."""
        left, top, width, height = cv2.boundingRect(unsure.view(np.uint8))
        margin = SURROUNDINGS * max(1, self.inner + self.outer)
        rows = slice(max(0, top - margin), top + height + margin)
        return rows, slice(max(0, left - margin), left + width + margin)

    def _cut(self, image: Image, mask: Mask, unsure: Mask) -> Mask:
        size = (image.shape[1], image.shape[0])
        small = tuple(max(1, round(side * self.scale)) for side in size)
        trimap = np.where(
            unsure, np.where(mask, cv2.GC_PR_FGD, cv2.GC_PR_BGD), np.where(mask, cv2.GC_FGD, cv2.GC_BGD)
        ).astype(np.uint8)
        trimap = cv2.resize(trimap, small, interpolation=cv2.INTER_NEAREST)
        kinds = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
        if kinds.all() or not kinds.any():
            return mask
        cv2.setRNGSeed(self.randomness)  # of this thread, so that a frame's mask depends on no other frame
        models = np.zeros((2, 1, 65))
        picture = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        cv2.grabCut(picture, trimap, None, models[0], models[1], self.iterations, cv2.GC_INIT_WITH_MASK)
        found = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
        return cv2.resize(found, size, interpolation=cv2.INTER_LINEAR) > 0.5


def _disc(radius: int) -> NDArray[np.uint8]:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
