"""Screening: whether a masker that takes long to train is worth it for an ensemble, decided by one of its fits."""

import logging
from collections.abc import Mapping
from copy import copy

import numpy as np

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.io.types import Probability
from dreaming.maskers.base import Masker
from dreaming.maskers.out_of_fold import CrossValidationPlan, Part, enclosed, out_of_fold
from dreaming.models.fusion_inference import jaccard

log = logging.getLogger(__name__)


def screen(
    clip: Clip,
    name: str,
    maskers: Mapping[str, Masker],
    references: References,
    plan: CrossValidationPlan,
    screening_gain: float,
) -> dict[str, float]:
    """Fit each masker that can be fitted by fold, on the hardest fold only; return those that gain too little.

    The gain is the mean IoU, on the left-out masks, of the masker or of its mean with the best of the others,
    whichever is better, minus that of the best one. The hardest fold is the one where the best one is worst, among
    those with a mask between others, if there are any: a mask at an end is not representative (``out_of_fold``).

    Args:
        clip: The clip.
        name: The ensemble's name, for the log.
        maskers: All maskers by name.
        references: The hand masks.
        plan: The cross-validation of the ensemble.
        screening_gain: Smallest gain with which a masker is kept.

    Returns:
        The gain of each masker that is not worth further fits.
    """
    present = set(plan.references.present)
    parts = [part for part in plan.parts if present.intersection(part.stems)]
    left_out = [part.left_out for part in plan.parts]
    seen = {key for key, masker in maskers.items() if not masker.can_fit_fold(clip, references, left_out)}
    if not parts or not seen or len(seen) == len(maskers):
        return {}
    found = {key: out_of_fold(clip, key, maskers[key], references, plan, 1) for key in maskers if key in seen}
    maps = {
        key: {stem: folder[stem].read_probability(stem, clip.size) for stem in plan.references.stems}
        for key, folder in found.items()
    }
    truth = dict(zip(plan.references.stems, plan.references.masks, strict=True))

    def score(predicted: Mapping[str, Probability], part: Part) -> float:
        return float(np.mean([jaccard(predicted[stem], truth[stem]) for stem in part.stems if stem in present]))

    best = max(maps, key=lambda key: np.mean([score(maps[key], part) for part in parts]))
    inside = [part for part in parts if enclosed(clip, part.left_out, references.without(part.left_out.stems))]
    hardest = min(inside or parts, key=lambda part: score(maps[best], part))
    without, dropped = score(maps[best], hardest), dict[str, float]()
    for key in [key for key in maskers if key not in seen]:
        fitted = copy(maskers[key]).fit_fold(clip, references, hardest.left_out)
        if fitted is None:
            continue
        own = dict(fitted.predict(clip, hardest.stems))
        mixed = {stem: np.float32(0.5) * (own[stem] + maps[best][stem]) for stem in hardest.stems}
        gain = max(score(own, hardest), score(mixed, hardest)) - without
        log.info("%s: %s gains %+.4f IoU over %s on %s", name, key, gain, best, ", ".join(hardest.stems))
        if gain < screening_gain:
            dropped[key] = gain
            log.warning(
                "%s: %s is not trained further, because it gains %+.4f IoU over %s on left-out masks, less than %s; "
                "model.%s.screening_gain=null trains it in any case",
                name, key, gain, best, screening_gain, name,
            )  # fmt: skip
    return dropped
