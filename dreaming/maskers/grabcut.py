"""Masks of another masker, with the outline refined by graph cut."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.split import Split
from dreaming.constraints import Iterations, Range, UnitFloat, Workers
from dreaming.imaging.graph_cut import cut
from dreaming.imaging.morphology import fill_holes
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image, Mask, Probability
from dreaming.maskers.base import Masker, Predictions

MARGIN = 3
"""Background around the unsure band that the colour models are fitted on, in widths of the band."""


@dataclass
class GrabCutMasker(Masker):
    """Refine another masker's outline by "GrabCut" (Rother, Kolmogorov and Blake 2004).

    Only pixels in a band around the outline can change; the others keep the other masker's label.

    Attributes:
        seed: The other masker; it is fitted on the same hand masks.
        inner: Width of the band inside the outline, relative to the root of the frame's area; one pixel or more, or 0.
        outer: Width of the band outside the outline, likewise.
        iterations: Rounds of fitting the colour models and cutting.
        scale: Size at which the cut is made, relative to the frame's.
        holes: Largest hole that is filled, as a share of the frame's area; None: no filling.
    """

    kind: ClassVar[str] = "grab_cut_masker"

    seed: Masker
    inner: UnitFloat = 0.0047
    outer: UnitFloat = 0.0047
    iterations: Iterations = 2
    scale: Annotated[float, Range(gt=0, le=1)] = 1.0
    holes: UnitFloat | None = 0.001
    workers: Workers = field(default=2, kw_only=True, metadata=NO_EFFECT)

    def fitted_fingerprint(self, clip: Clip, references: References) -> str:
        """Return the other masker's fingerprint."""
        return self.seed.fitted_fingerprint(clip, references)

    def fit(self, clip: Clip, references: References) -> Self:
        """Fit the other masker."""
        self.seed.fit(clip, references)
        return self

    def fit_without(self, clip: Clip, references: References, left_out: References) -> Self:
        """Fit the other masker without some of the references."""
        self.seed.fit_without(clip, references, left_out)
        return self

    @property
    def min_references(self) -> int:
        """As many as the other masker needs."""
        return self.seed.min_references

    def training_stems(self, split: Split) -> frozenset[str]:
        """Stems of the hand-masked frames that the other masker may use."""
        return self.seed.training_stems(split)

    @property
    def fit_report(self) -> Mapping[str, Any]:
        """Return the other masker's report."""
        return self.seed.fit_report

    def prepare(self, clip: Clip, stems: Sequence[str]) -> Self:
        """Compute the predictions of the other masker's base maskers."""
        self.seed.prepare(clip, stems)
        return self

    def predict(self, clip: Clip, stems: Iterable[str]) -> Predictions:
        """Yield each named frame's mask as 0 and 1, in order."""

        def refine(prediction: tuple[str, Probability]) -> tuple[str, Probability]:
            stem, probability = prediction
            return stem, self.refine(clip.frames.read(stem), probability > 0.5).astype(np.float32)

        yield from prefetch_map(refine, self.seed.predict(clip, stems), self.workers)

    def refine(self, image: Image, mask: Mask) -> Mask:
        """Return the mask (H, W) with its outline moved, within the band, to an edge of the frame (H, W, 3)."""
        inner, outer = (_in_pixels(share, mask.shape) for share in (self.inner, self.outer))
        unsure = _unsure(mask, inner, outer)
        rows, columns = _window(unsure, MARGIN * max(1, inner + outer))
        if not unsure.any() or mask[rows, columns].all() or not mask[rows, columns].any():
            return mask
        refined = mask.copy()
        cut = self._cut(image[rows, columns], mask[rows, columns], unsure[rows, columns])
        refined[rows, columns][unsure[rows, columns]] = cut[unsure[rows, columns]]
        return refined if self.holes is None else fill_holes(refined, self.holes)

    def _cut(self, image: Image, mask: Mask, unsure: Mask) -> Mask:
        trimap = np.where(
            unsure, np.where(mask, cv2.GC_PR_FGD, cv2.GC_PR_BGD), np.where(mask, cv2.GC_FGD, cv2.GC_BGD)
        ).astype(np.uint8)
        found = cut(image, trimap, self.iterations, self.scale)
        return mask if found is None else found


def _in_pixels(share: float, size: tuple[int, ...]) -> int:
    return max(1, round(share * math.sqrt(math.prod(size)))) if share else 0


def _unsure(mask: Mask, inner: int, outer: int) -> Mask:
    """The band (H, W) around the outline, of these widths in pixels."""
    picture = mask.view(np.uint8)
    sure = cv2.erode(picture, _disc(inner))
    possible = cv2.dilate(picture, _disc(outer))
    return (possible > 0) & (sure == 0)


def _window(unsure: Mask, margin: int) -> tuple[slice, slice]:
    """The rows and columns of the band and a margin in pixels."""
    left, top, width, height = cv2.boundingRect(unsure.view(np.uint8))
    rows = slice(max(0, top - margin), top + height + margin)
    return rows, slice(max(0, left - margin), left + width + margin)


def _disc(radius: int) -> NDArray[np.uint8]:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
