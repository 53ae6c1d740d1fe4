"""How good a masker is on hand masks that it has not seen: fitted anew with each fold left out in turn."""

import copy
from statistics import fmean

import torch
from torchmetrics.functional.classification import binary_jaccard_index

from dreaming.frames.arrays import Mask
from dreaming.frames.clip import Clip
from dreaming.maskers.base import Masker


def jaccard_of(masker: Masker, clip: Clip) -> float:
    """Mean Jaccard index over all left-out masks of all parts."""
    scores = []
    for part in clip.parts:
        references = clip.references(part, clip.split(part).nn)
        truth = dict(zip(references.stems, references.masks, strict=True))
        for fold in references.folds():
            fitted = copy.deepcopy(masker).fit(clip, references.without(fold.stems))
            for stem, probability in fitted.predict(clip, fold.stems):
                scores.append(_jaccard(probability >= 0.5, truth[stem]))
    return fmean(scores)


def _jaccard(found: Mask, truth: Mask) -> float:
    return float(binary_jaccard_index(torch.from_numpy(found), torch.from_numpy(truth), zero_division=1.0))
