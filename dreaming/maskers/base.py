"""Base classes of maskers: fitted on a few hand masks, a masker predicts a probability map of each frame."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.artifacts.shard import Work, undivided
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.intervals import FrameInterval, group_by_interval, intervals_between
from dreaming.clip.shots import Shots
from dreaming.clip.split import Split
from dreaming.constraints import Workers
from dreaming.errors import MaskError
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image, Mask, Probability

log = logging.getLogger(__name__)

Predictions: TypeAlias = Iterator[tuple[str, Probability]]
"""Stems with their probability, float32 (H, W) in 0..1."""


@dataclass
class Masker(ABC):
    """Predict the subject's mask in every frame; the fields of a subclass are its config.

    Attributes:
        fits_in_threads: Whether copies of it may be fitted by several threads at once, and whether that is faster.
    """

    fits_in_threads: ClassVar[bool] = False

    @abstractmethod
    def fit(self, clip: Clip, references: References) -> Self:
        """Fit on the references, and on no other mask on which results are scored."""

    @abstractmethod
    def predict(self, clip: Clip, stems: Iterable[str]) -> Predictions:
        """Yield each frame's probability, float32 (H, W) in 0..1, in order, with few frames in memory at a time."""

    def prepare(self, clip: Clip, stems: Sequence[str]) -> Self:
        """Compute the predictions of ``base_maskers`` for these frames; called after ``fit``, before any shard."""
        return self

    def share_out(self, stems: list[str], work: Work) -> None:
        """Run ``work``, which predicts these frames; on several devices, each device predicts a share."""
        undivided(stems, work)

    def fitted_fingerprint(self, clip: Clip, references: References) -> str:
        """Fingerprint of the weights that ``fit`` would load from disk instead of training; empty if it loads none."""
        return ""

    def fit_without(self, clip: Clip, references: References, left_out: References) -> Self:
        """Fit on all references but ``left_out``, or load the fold of a cross-validation that left these out."""
        return self.fit(clip, references.without(left_out.stems))

    def can_fit_fold(self, clip: Clip, references: References, folds: Sequence[References]) -> bool:
        """Whether ``fit_fold`` saves fits: nothing is trained yet, and ``fit_without`` would train all these folds."""
        return False

    def fit_fold(self, clip: Clip, references: References, left_out: References) -> Self | None:
        """Fit on all references but those of one fold, and nothing else yet; None if that leaves no weights."""
        return self.fit_without(clip, references, left_out)

    def unchanged(self, shots: Shots, before: Mapping[str, str], now: Mapping[str, str]) -> frozenset[str]:
        """Frames predicted equally with two sets of hand masks, each given as fingerprints by frame."""
        return frozenset()

    def training_stems(self, split: Split) -> frozenset[str]:
        """Stems of the hand-masked frames whose masks ``fit`` may use, as references or read from the clip."""
        return frozenset(split.nn)

    @property
    def fit_report(self) -> Mapping[str, Any]:
        """Measurements of ``fit`` for the user, as JSON data; stored in the manifest of the masks."""
        return {}

    @property
    def min_references(self) -> int:
        """Number of hand masks that ``fit`` needs."""
        return 1

    @property
    def base_maskers(self) -> Mapping[str, "Masker"]:
        """The maskers, by name, whose predictions this one takes as input and caches on disk."""
        return {}

    def used_maskers(self, clip: Clip, references: References) -> Mapping[str, "Masker"]:
        """Those of ``base_maskers`` that it uses once it is fitted on these references."""
        return self.base_maskers


def between_equal_masks(shots: Shots, before: Mapping[str, str], now: Mapping[str, str]) -> frozenset[str]:
    """Frames between, or with, hand masks that are equal in two sets, each given as fingerprints by frame."""
    same = {None, *(stem for stem, mask in now.items() if before.get(stem) == mask)}
    intervals = set(intervals_between(shots, before)) & set(intervals_between(shots, now))
    inside = {stem for each in intervals if {each.left, each.right} <= same for stem in each.stems}
    return frozenset(inside | {stem for stem in shots.stems if stem in same})


def is_whole(clip: Clip, references: References) -> bool:
    """Whether these are all references that maskers are fitted on, and not those of one fold."""
    return references.part in clip.parts and set(references.stems) == set(clip.split(references.part).nn)


@dataclass
class FrameMasker(Masker):
    """A masker whose prediction depends on one frame; ``workers`` frames are predicted at once."""

    workers: Workers = field(default=2, kw_only=True, metadata=NO_EFFECT)

    @abstractmethod
    def predict_frame(self, image: Image) -> Probability:
        """Return the subject's probability (H, W) in 0..1 for one frame (H, W, 3)."""

    def predict(self, clip: Clip, stems: Iterable[str]) -> Predictions:
        """Yield each named frame's probability, in order."""
        yield from prefetch_map(lambda stem: (stem, self.predict_frame(clip.frames.read(stem))), stems, self.workers)


@dataclass
class SequenceMasker(Masker):
    """A masker that predicts intervals between hand masks, ``workers`` at once, and keeps the hand masks."""

    workers: Workers = field(default=2, kw_only=True, metadata=NO_EFFECT)

    @abstractmethod
    def predict_interval(self, clip: Clip, interval: FrameInterval, wanted: frozenset[str]) -> Predictions:
        """Yield the wanted frames of an interval, in order; a frame does not depend on which others are wanted.

        ``predict`` runs all that comes before the first ``yield`` ahead of time.
        """

    def fit(self, clip: Clip, references: References) -> Self:
        """Keep the hand masks of the clip's frames."""
        return self.keep(clip, references)

    def keep(self, clip: Clip, references: References) -> Self:
        """Keep the hand masks of the clip's frames, which is all that a prediction needs where nothing is trained.

        Raises:
            MaskError: If none of them belongs to a frame of the clip.
        """
        known = [index for index, stem in enumerate(references.stems) if stem in clip.frames]
        if not known:
            raise MaskError(
                clip.path,
                topic="no-hand-masks",
                found="no hand mask of any of the clip's frames",
                expected="at least one",
                hint="name the masks like their frames",
            )
        if len(known) < len(references):
            log.warning("%d hand masks belong to no frame of the clip and are not used", len(references) - len(known))
        self._masks: dict[str, Mask] = {references.stems[index]: references.masks[index] for index in known}
        return self

    def subject_size(self, interval: FrameInterval) -> float:
        """Square root of the subject's area in pixels, the smaller of an interval's ends; infinite without any."""
        ends = [self._masks[stem] for stem in (interval.left, interval.right) if stem is not None]
        return min((float(mask.sum()) ** 0.5 for mask in ends if mask.any()), default=math.inf)

    def predict(self, clip: Clip, stems: Iterable[str]) -> Predictions:
        """Yield each frame's probability, in the order of ``stems``; the clip's order is the fastest."""
        groups = group_by_interval(clip.shots, self._masks, stems)

        def begin(group: tuple[FrameInterval | None, list[str]]) -> Predictions:
            interval, wanted = group
            if interval is None:
                return iter([(stem, self._masks[stem].astype(np.float32)) for stem in wanted])
            frames = self.predict_interval(clip, interval, frozenset(wanted))
            return chain(list(islice(frames, 1)), frames)

        for frames in prefetch_map(begin, groups, self.workers - 1) if self.workers > 1 else map(begin, groups):
            yield from frames
