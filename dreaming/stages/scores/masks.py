"""Scores of maskers on hand masks that they are not trained on, for the ``evaluate`` stage."""

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

Comparison: TypeAlias = tuple[Image, Mask, Mask]
"""A frame (H, W, 3), its predicted mask (H, W), and its true mask (H, W)."""


@dataclass(frozen=True, eq=False)
class HeldOutPredictions:
    """Masks that maskers predict in frames whose hand masks they are not trained on.

    Attributes:
        scored_on: ``test masks``, ``hold-out masks`` or ``cross-validation``.
        truth: The frames and their hand masks.
        masks: Mask (H, W) by masker and frame.
    """

    scored_on: str
    truth: References
    masks: Mapping[str, Mapping[str, Mask]]

    def compare(self, masker: str, stem: str) -> Comparison:
        """Return a frame, the mask that a masker predicts, and the hand mask."""
        index = self.truth.stems.index(stem)
        return self.truth.images[index], self.masks[masker][stem], self.truth.masks[index]

    def rows(self, prefix: str = "") -> Iterator[dict[str, Any]]:
        """Yield a row of scores for each masker and frame; ``prefix`` is put before the masker's name."""
        for name, masks in self.masks.items():
            for stem, true in zip(self.truth.stems, self.truth.masks, strict=True):
                row = {"kind": "masks", "name": prefix + name, "scored on": self.scored_on, "frame": stem}
                yield {**row, **scores(masks[stem], true)}


def predict_held_out(
    clip: Clip,
    part: str,
    maskers: Mapping[str, Masker],
    folds: int = 5,
    smooth: MaskSmoothing | None = None,
    tests: bool = True,
) -> HeldOutPredictions:
    """Predict hand-masked frames of a part with maskers that are not trained on them.

    The frames are those of the test folders, if there are any and ``tests`` is true; else those held out from the
    maskers; else all of them, by cross-validation.

    Args:
        clip: The clip.
        part: The part of the image whose masks are predicted.
        maskers: Maskers by name.
        folds: Folds of cross-validation at most.
        smooth: Smooths masks over time before they are scored; None: not smoothed.
        tests: Whether masks of test folders are scored.
    """
    split, radius = clip.split(part), 0 if smooth is None else smooth.radius
    references = clip.training_references(part)
    tested = clip.references(part, split.tests if tests else ())
    if len(tested):
        truth = tested.select(clip.stems)
        if len(truth) < len(tested):
            log.warning("%d test masks belong to no frame of the clip and are ignored", len(tested) - len(truth))
        needed = dilate(clip.shots, truth.stems, radius)
        folders = {
            name: dict.fromkeys(truth.stems, PredictionCache(clip, name, masker, references).complete(needed))
            for name, masker in maskers.items()
        }
        return HeldOutPredictions("test masks", truth, _masks(clip, folders, smooth))
    plan = plan_cross_validation(clip, references, folds)
    folders = {name: out_of_fold(clip, name, masker, references, plan, radius) for name, masker in maskers.items()}
    scored_on = "cross-validation" if plan.validation == "folds" else "hold-out masks"
    return HeldOutPredictions(scored_on, plan.references, _masks(clip, folders, smooth))


def _masks(
    clip: Clip, folders: Mapping[str, Mapping[str, FrameFolder]], smooth: MaskSmoothing | None
) -> dict[str, dict[str, Mask]]:
    """Read each masker's mask of each frame from the folder of its probability, smoothed as ``mask`` does it."""
    return {
        name: {
            stem: folder.read_mask(stem, clip.size) if smooth is None else _smoothed(clip, folder, smooth, stem)
            for stem, folder in by_stem.items()
        }
        for name, by_stem in folders.items()
    }


def _smoothed(clip: Clip, folder: FrameFolder, smooth: MaskSmoothing, stem: str) -> Mask:
    def read(stems: list[str]) -> Iterator[tuple[str, Probability]]:
        yield from ((name, folder.read_probability(name, clip.size)) for name in stems)

    ((_, probability),) = smooth.smooth(clip, read, [stem])
    # The ``mask`` stage writes 8-bit probabilities, so that a mask is thresholded after rounding.
    return np.rint(probability * 255) > 255 / 2


def with_base_maskers(maskers: Mapping[str, Masker], clip: Clip, part: str) -> dict[str, Masker]:
    """Add the base maskers that some maskers use for a part of a clip, in front of them."""
    references = clip.training_references(part)
    base = {name: each for other in maskers.values() for name, each in other.used_maskers(clip, references).items()}
    return {**{name: masker for name, masker in base.items() if name not in maskers}, **maskers}


def scores(predicted: Mask, true: Mask) -> dict[str, float]:
    """Score one mask (H, W): IoU (Jaccard index, J) of the area and boundary F-measure of the outline, in 0..1."""
    iou = binary_jaccard_index(torch.from_numpy(predicted), torch.from_numpy(true), zero_division=1.0)
    return {"IoU": float(iou), "boundary F": boundary_f(predicted, true)}


def worst_frames(rows: Sequence[Mapping[str, Any]], count: int, compare: Callable[[str], Comparison]) -> Image:
    """Draw the ``count`` frames with the lowest IoU of one masker's scores one below the other, errors in red."""
    drawn: list[NDArray[np.uint8]] = []
    for row in sorted(rows, key=lambda row: row["IoU"])[:count]:
        picture = overlay(*compare(row["frame"]))
        label = f"{row['frame']}  IoU {row['IoU']:.3f}  boundary F {row['boundary F']:.3f}"
        cv2.putText(picture, label, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2, cv2.LINE_AA)
        drawn.append(picture)
    return np.vstack(drawn)
