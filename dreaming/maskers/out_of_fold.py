"""Out-of-fold predictions: masks that maskers predict in frames whose hand masks they are not trained on.

If some hand masks are held out, these are predicted. Otherwise cross-validation leaves out each mask once (folds of
one mask, if there are at most five).

A left-out mask at either end of a shot is predicted from one side only, across a whole interval between hand masks,
which happens to no frame once all masks are used. Such masks are not representative (on dance-twirl propagation scores
0.22 there and 0.56 elsewhere). They are ignored if enough others lie between masks.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.intervals import intervals_between
from dreaming.data.mask_stack import MaskStacks
from dreaming.features.temporal_consistency import TemporalConsistency
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_window import dilate
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.prefetch import prefetch_map
from dreaming.maskers.base import Masker
from dreaming.maskers.prediction_cache import PredictionCache, gap

log = logging.getLogger(__name__)

FITS_AT_ONCE = 2
"""Fits of one masker without different folds that run at once, if it ``fits_in_threads``."""

MIN_HELD_OUT = 2
"""Fewest held-out masks of the subject to train the ensemble on; a single score cannot tell skill from chance."""

MIN_ENCLOSED = 3
"""Fewest left-out masks of the subject between other masks for those at the ends of shots to be ignored."""


@dataclass(frozen=True, eq=False)
class Part:
    """Hand-masked frames that are left out of one fit together; ``stems`` are those of them that are scored."""

    left_out: References
    stems: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CrossValidationPlan:
    """Masks that the ensemble is trained on, and how they are left out of the maskers' training.

    Attributes:
        validation: ``explicit``, ``split`` or ``folds``.
        references: The hand-masked frames to predict, in order.
        parts: Groups of frames that are left out together.
        held_out: Number of held-out masks that are too few to be used.
        always_trained: Names of the masks that show the subject, if none of them is ever left out.
    """

    validation: str
    references: References
    parts: tuple[Part, ...]
    held_out: int = 0
    always_trained: tuple[str, ...] = ()


def plan_cross_validation(
    clip: Clip, references: References, folds: int = 5, left_out: Collection[str] = ()
) -> CrossValidationPlan:
    """Choose the masks that the ensemble is trained on.

    These are masks held out from the maskers, except ``left_out``, or else the references, by cross-validation.
    """
    split = clip.split(references.part)
    held_out = clip.references(references.part, split.ensemble_train + split.ensemble_valid)
    held_out = held_out.without([*references.stems, *left_out]).select(clip.stems)
    if len(held_out.present) >= MIN_HELD_OUT:
        parts = tuple(Part(part, part.stems) for part in held_out.folds(folds))
        return CrossValidationPlan(split.validation, held_out, parts)
    known = references.select(clip.stems)
    parts = scored_folds(clip, known, folds)
    scored = {stem for part in parts for stem in part.stems}
    always_trained = () if scored.intersection(known.present) else tuple(known.present)
    return CrossValidationPlan("folds", known.select(scored), parts, len(held_out), always_trained)


def scored_folds(clip: Clip, references: References, folds: int) -> tuple[Part, ...]:
    """The folds of hand-masked frames of a clip that have a representative mask to score, and these masks."""
    left_out = references.folds(folds)
    inside = {stem for part in left_out for stem in enclosed(clip, part, references.without(part.stems))}
    scored = {stem for part in left_out for stem in part.stems}
    if len(inside.intersection(references.present)) >= MIN_ENCLOSED:
        scored = inside
    kept = [Part(part, tuple(stem for stem in part.stems if stem in scored)) for part in left_out]
    return tuple(part for part in kept if part.stems)


def warn_about(plan: CrossValidationPlan, name: str) -> None:
    """Warn if a plan cannot rank the maskers reliably."""
    if plan.held_out:
        log.warning(
            "%s: %d held-out masks are too few; it is trained on the maskers' masks by cross-validation",
            name, plan.held_out,
        )  # fmt: skip
    if plan.always_trained:
        log.warning(
            "%s: only %s shows the %s and is never left out, so cross-validation sees frames without it only",
            name, ", ".join(plan.always_trained), plan.references.part,
        )  # fmt: skip


def enclosed(clip: Clip, left_out: References, trained_on: References) -> list[str]:
    """Names of the left-out frames between others of their shot that are trained on."""
    intervals = intervals_between(clip.shots, trained_on.stems)
    inside = {stem for each in intervals if each.left and each.right for stem in each.stems}
    return [stem for stem in left_out.stems if stem in inside]


def out_of_fold(
    clip: Clip, name: str, masker: Masker, references: References, plan: CrossValidationPlan, radius: int = 0
) -> dict[str, FrameFolder]:
    """Predict each frame of a plan without its mask; return the folder of each frame's prediction.

    The ``radius`` frames before and after each one are predicted, too. The masker is trained on the other references.
    """
    if not masker.training_stems(clip.split(references.part)) & set(plan.references.stems):
        around = dilate(clip.shots, plan.references.stems, radius)
        return dict.fromkeys(plan.references.stems, PredictionCache(clip, name, masker, references).complete(around))
    caches = [PredictionCache(clip, name, masker, references, part.left_out) for part in plan.parts]
    wanted = [dilate(clip.shots, part.stems, radius) for part in plan.parts]
    fitted: Iterable[Masker | None] = repeat(None, len(caches))
    if masker.fits_in_threads:
        fitted = prefetch_map(_fit_unless_complete, zip(caches, wanted, strict=True), FITS_AT_ONCE)
    found = zip(plan.parts, caches, wanted, fitted, strict=True)
    return {
        stem: folder
        for part, cache, around, fit in found
        for folder in [cache.complete(around, fit)]
        for stem in part.stems
    }


def _fit_unless_complete(fold: tuple[PredictionCache, Sequence[str]]) -> Masker | None:
    """The masker fitted for a fold; None if its frames are predicted already."""
    cache, stems = fold
    return None if cache.is_complete(stems) else cache.fit()


def stacks(
    clip: Clip,
    maskers: Mapping[str, Masker],
    references: References,
    plan: CrossValidationPlan,
    flow: DisFlow | None = None,
) -> MaskStacks:
    """Stack every masker's prediction of every frame of a plan, and its temporal consistency if ``flow`` is given."""
    stems, size = plan.references.stems, clip.size
    radius = 0 if flow is None else 1
    folders = [out_of_fold(clip, name, each, references, plan, radius) for name, each in maskers.items()]
    found = np.empty((len(stems), len(maskers), *size), np.uint8)
    for column, folder_of in enumerate(folders):
        for row, stem in enumerate(stems):
            found[row, column] = np.rint(folder_of[stem].read_probability(stem, size) * 255)
    inconsistency = None
    if flow is not None:
        consistency = TemporalConsistency.for_clip(clip, flow)
        inconsistency = np.stack(
            [consistency.inconsistency([folder_of[stem] for folder_of in folders], stem) for stem in stems]
        )
    trained_on = {stem: references.without(part.left_out.stems).stems for part in plan.parts for stem in part.stems}
    gaps = tuple(gap(clip, stem, trained_on[stem]) for stem in stems)
    parts = tuple(part.stems for part in plan.parts)
    return MaskStacks(plan.references, tuple(maskers), found, gaps, parts, inconsistency, plan.validation)
