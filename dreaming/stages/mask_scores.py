"""How good maskers are at hand masks that they have not learnt from, of which ``evaluate`` makes its table."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_jaccard_index

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.flow.temporal_filter import MaskSmoothing
from dreaming.flow.temporal_window import dilate
from dreaming.imaging.overlay import overlay
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.types import Image, Mask, Probability
from dreaming.maskers.base import Masker
from dreaming.maskers.out_of_fold import out_of_fold, plan_cross_validation
from dreaming.maskers.prediction_cache import PredictionCache
from dreaming.metrics.boundary import boundary_f

log = logging.getLogger(__name__)

AppearanceFeatures: TypeAlias = tuple[Image, Mask, Mask]
"""A frame, the mask that was found, and the true one."""


@dataclass(frozen=True, eq=False)
class HeldOutPredictions:
    """What every masker found in frames whose hand masks it has not seen.

    Attributes:
        how: ``test`` (test folders), ``held out`` (explicit, split) or ``out of fold``.
        truth: The frames and their hand masks.
        found: For each masker, its mask (H, W) of each frame.
    """

    how: str
    truth: References
    found: Mapping[str, Mapping[str, Mask]]

    def look(self, name: str, stem: str) -> AppearanceFeatures:
        """The picture of a frame, the mask that a masker found, and the hand mask."""
        place = self.truth.stems.index(stem)
        return self.truth.images[place], self.found[name][stem], self.truth.masks[place]


def unseen(
    clip: Clip,
    part: str,
    maskers: Mapping[str, Masker],
    folds: int = 5,
    smooth: MaskSmoothing | None = None,
    tests: bool = True,
) -> HeldOutPredictions:
    """Have each masker predict at hand-masked frames of a part that it does not learn from.

    The masks in test folders, if there are any and they are asked for; else those held back from the maskers; else each
    is left out in turn.

    Args:
        clip: The clip.
        part: Its part.
        maskers: The maskers by name.
        folds: In which masks are left out.
        smooth: How masks are averaged over time before they are compared; None: not.
        tests: Whether test masks may be looked at; not where something is chosen by what is found.
    """
    split, radius = clip.split(part), 0 if smooth is None else smooth.radius
    references = clip.training_references(part)
    kept = clip.references(part, split.tests if tests else ())
    if len(kept):
        shown = kept.select(clip.stems)
        if len(shown) < len(kept):
            log.warning("%d test masks belong to no frame of the clip and are left out", len(kept) - len(shown))
        around = dilate(clip.stems, shown.stems, radius)
        folders = {
            name: dict.fromkeys(shown.stems, PredictionCache(clip, name, masker, references).complete(around))
            for name, masker in maskers.items()
        }
        return HeldOutPredictions("test", shown, _masks(clip, folders, smooth))
    given = plan_cross_validation(clip, references, folds)
    folders = {name: out_of_fold(clip, name, masker, references, given, radius) for name, masker in maskers.items()}
    how = "out of fold" if given.validation == "folds" else "held out"
    return HeldOutPredictions(how, given.references, _masks(clip, folders, smooth))


def _masks(
    clip: Clip, folders: Mapping[str, Mapping[str, FrameFolder]], smooth: MaskSmoothing | None
) -> dict[str, dict[str, Mask]]:
    """Each masker's mask of each frame, from where its probability lies, as ``mask`` would write it."""
    return {
        name: {
            stem: folder.read_mask(stem, clip.size) if smooth is None else _smoothed(clip, folder, smooth, stem)
            for stem, folder in places.items()
        }
        for name, places in folders.items()
    }


def _smoothed(clip: Clip, folder: FrameFolder, smooth: MaskSmoothing, stem: str) -> Mask:
    def read(stems: list[str]) -> Iterator[tuple[str, Probability]]:
        yield from ((name, folder.read_probability(name, clip.size)) for name in stems)

    ((_, probability),) = smooth.smooth(clip, read, [stem])
    # Masks are kept in levels of 8 bits, and compared as such.
    return np.rint(probability * 255) > 255 / 2


def with_base_maskers(maskers: Mapping[str, Masker]) -> dict[str, Masker]:
    """The maskers, after those that they build on."""
    built_on = {name: built for masker in maskers.values() for name, built in masker.base_maskers.items()}
    return {**{name: built for name, built in built_on.items() if name not in maskers}, **maskers}


def rows_of(evidence: HeldOutPredictions, prefix: str = "") -> Iterator[dict[str, Any]]:
    """One row of scores for each masker and frame."""
    for name, found in evidence.found.items():
        for stem, true in zip(evidence.truth.stems, evidence.truth.masks, strict=True):
            yield {"kind": f"masks, {evidence.how}", "of": prefix + name, "frame": stem, **scores(found[stem], true)}


def scores(found: Mask, true: Mask) -> dict[str, float]:
    """Jaccard index, boundary F and share of right pixels of one mask (H, W)."""
    jaccard = binary_jaccard_index(torch.from_numpy(found), torch.from_numpy(true), zero_division=1.0)
    return {"J": float(jaccard), "F": boundary_f(found, true), "accuracy": float((found == true).mean())}


def worst_frames(rows: Sequence[Mapping[str, Any]], count: int, look: Callable[[str], AppearanceFeatures]) -> Image:
    """The frames where a masker scores worst, one below the other, with what is wrong in red.

    Args:
        rows: Its scores.
        count: How many frames are shown.
        look: Gives the picture (H, W, 3) of a named frame, the mask (H, W) that was found, and the true one.
    """
    ranked = sorted(rows, key=lambda row: row["J"])[:count]
    drawn: list[NDArray[np.uint8]] = []
    for row in ranked:
        picture = overlay(*look(row["frame"]))
        label = f"{row['frame']}  J {row['J']:.3f}  F {row['F']:.3f}"
        cv2.putText(picture, label, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2, cv2.LINE_AA)
        drawn.append(picture)
    return np.vstack(drawn)
