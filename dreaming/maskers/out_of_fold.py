"""What maskers find in frames whose hand masks they have not seen: the only honest evidence of how good they are.

Where some hand masks were held back, those. Else each reference in turn is left out of the fit (folds of one, with up
to five of them). The maskers that predict there never saw the mask, whatever they learn and however they are built.

A left-out mask at the end of the video is guessed from one side, over a whole gap between hand masks, as no frame is
once all masks are used: it says little (on dance-twirl flow scores 0.22 there, 0.56 at the others), and where enough
others lie between masks, only those are evidence.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.data.mask_stack import MaskStacks
from dreaming.features.temporal_consistency import TemporalConsistency
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_window import dilate
from dreaming.io.frame_folder import FrameFolder
from dreaming.maskers.base import Masker
from dreaming.maskers.prediction_cache import PredictionCache, gap

log = logging.getLogger(__name__)

FEWEST = 2
"""Held-back masks of the subject from which on they serve; by one alone, trust and chance could not be told apart."""

ENOUGH = 3
"""Left-out masks of the subject between others from which on those at the video's ends are passed over."""


@dataclass(frozen=True, eq=False)
class Part:
    """Hand-masked frames that no masker learns from while it predicts there.

    Attributes:
        left_out: What is left out of the fit.
        stems: Names of those of them that are evidence.
    """

    left_out: References
    stems: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CrossValidationPlan:
    """What there is to learn how far to trust the maskers from.

    Attributes:
        protocol: ``explicit``, ``split`` or ``folds``.
        references: The hand-masked frames whose predictions are evidence, in order.
        parts: In which they are left out together.
    """

    validation: str
    references: References
    parts: tuple[Part, ...]


def lesson(clip: Clip, references: References, folds: int = 5, left_out: Collection[str] = ()) -> CrossValidationPlan:
    """The references that the ensemble learns from, where the maskers learn from ``references``.

    Args:
        clip: The clip.
        references: What the maskers are fitted on.
        folds: Folds where no mask is held back.
        left_out: Names of frames whose masks, if they were held back, it must not learn from.
    """
    split = clip.split(references.part)
    held_back = clip.references(references.part, split.ensemble_train + split.ensemble_valid)
    held_back = held_back.without([*references.stems, *left_out]).select(clip.stems)
    if len(held_back.present) >= FEWEST:
        return CrossValidationPlan(
            split.validation, held_back, tuple(Part(part, part.stems) for part in held_back.folds(folds))
        )
    if len(held_back):
        few = "one mask is" if len(held_back) == 1 else f"{len(held_back)} masks with one of the subject at most are"
        log.warning("%s too few for the ensemble: it learns from those of the maskers, left out in turn", few)
    known = references.select(clip.stems)
    parts = known.folds(folds)
    enclosed = {stem for part in parts for stem in _enclosed(clip, part, known.without(part.stems))}
    asked = {stem for part in parts for stem in part.stems}
    if len(enclosed.intersection(known.present)) >= ENOUGH:
        asked = enclosed
    if not asked.intersection(known.present):
        log.warning(
            "%s alone shows the %s and is always learnt from: what is left out is frames without it",
            ", ".join(known.present),
            known.part,
        )
    kept = [Part(part, tuple(stem for stem in part.stems if stem in asked)) for part in parts]
    return CrossValidationPlan("folds", known.select(asked), tuple(part for part in kept if part.stems))


def _enclosed(clip: Clip, left_out: References, learnt: References) -> list[str]:
    """Those left-out frames that lie between others that are learnt from."""
    places = {stem: place for place, stem in enumerate(clip.stems)}
    known = [places[stem] for stem in learnt.stems]
    return [stem for stem in left_out.stems if known and min(known) < places[stem] < max(known)]


def out_of_fold(
    clip: Clip, name: str, masker: Masker, references: References, given: CrossValidationPlan, radius: int = 0
) -> dict[str, FrameFolder]:
    """Where a masker's probability at each frame of a lesson lies on disk, made without that frame's mask.

    Args:
        clip: The clip.
        name: The masker's name.
        masker: The masker.
        references: What it learns from.
        given: The lesson.
        radius: Frames before and behind that lie there, too.
    """
    if not masker.training_stems(clip.split(references.part)) & set(given.references.stems):
        around = dilate(clip.stems, given.references.stems, radius)
        return dict.fromkeys(given.references.stems, PredictionCache(clip, name, masker, references).complete(around))
    return {
        stem: folder
        for part in given.parts
        for around in [dilate(clip.stems, part.stems, radius)]
        for folder in [PredictionCache(clip, name, masker, references, part.left_out).complete(around)]
        for stem in part.stems
    }


def stacks(
    clip: Clip,
    maskers: Mapping[str, Masker],
    references: References,
    given: CrossValidationPlan,
    flow: DisFlow | None = None,
) -> MaskStacks:
    """What every masker found at every frame of a lesson; by the flow, if any, also how it agrees with itself there."""
    size = clip.size
    found = np.empty((len(given.references), len(maskers), *size), np.uint8)
    stems = given.references.stems
    radius = 0 if flow is None else 1
    folders = [out_of_fold(clip, name, each, references, given, radius) for name, each in maskers.items()]
    for column, of_stem in enumerate(folders):
        for row, stem in enumerate(stems):
            found[row, column] = levels(of_stem[stem], stem, size)
    inconsistency = None
    if flow is not None:
        steadiness = TemporalConsistency.for_clip(clip, flow)
        inconsistency = np.stack(
            [steadiness.inconsistency([of_stem[stem] for of_stem in folders], stem) for stem in stems]
        )
    learnt = {stem: references.without(part.left_out.stems).stems for part in given.parts for stem in part.stems}
    gaps = tuple(gap(clip, stem, learnt[stem]) for stem in stems)
    parts = tuple(part.stems for part in given.parts)
    return MaskStacks(given.references, tuple(maskers), found, gaps, parts, inconsistency, given.validation)


def levels(folder: FrameFolder, stem: str, size: Sequence[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A kept probability as it lies on disk, (H, W) in 0..255."""
    return np.rint(folder.read_probability(stem, (size[0], size[1])) * 255).astype(np.uint8)
