"""The contract of every masker: fitted on a few hand masks, it streams a probability for each frame."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Self

import numpy as np

from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.clip.intervals import FrameInterval, intervals_between
from dreaming.clip.split import Split
from dreaming.errors import MaskError
from dreaming.io.manifest import NO_EFFECT
from dreaming.io.prefetch import prefetch_map
from dreaming.io.shard import Work, undivided
from dreaming.io.types import Image, Mask, Probability

log = logging.getLogger(__name__)

Frames = Iterator[tuple[str, Probability]]


@dataclass
class Masker(ABC):
    """Cuts the subject out of every frame.

    Subclasses are dataclasses: their fields are their config, and those that change the result tell one result from
    another (``frames.manifest.describe``).
    """

    @abstractmethod
    def fit(self, clip: Clip, references: References) -> Self:
        """Learn from the references given, and from no other mask of the clip that anything is judged by."""

    @abstractmethod
    def predict(self, clip: Clip, stems: Iterable[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's probability, float32 (H, W) in 0..1, in order, holding few frames at a time."""

    def prepare(self, clip: Clip, stems: Sequence[str]) -> Self:
        """Make what it builds on of these frames: once it is fitted, before they are predicted share by share."""
        return self

    def share_out(self, stems: list[str], work: Work) -> None:
        """Do a work that predicts these frames; one that runs on several devices does a share of it on each."""
        undivided(stems, work)

    def fitted_fingerprint(self, clip: Clip, references: References) -> str:
        """Fingerprint of what ``fit`` would load from disk rather than learn anew; empty if it loads nothing."""
        return ""

    def fit_without(self, clip: Clip, references: References, left_out: References) -> Self:
        """Learn from all references but those left out, so that what is predicted there is honest.

        For a masker that already learnt so on the way to its fit on all of them, to use that instead.
        """
        return self.fit(clip, references.without(left_out.stems))

    def training_stems(self, split: Split) -> frozenset[str]:
        """Names of the hand-masked frames whose masks ``fit`` may reach, by itself or by way of the clip."""
        return frozenset(split.nn)

    @property
    def fit_report(self) -> Mapping[str, Any]:
        """What ``fit`` found that a person may want to know, as plain JSON data for the manifest of the masks."""
        return {}

    @property
    def base_maskers(self) -> Mapping[str, "Masker"]:
        """The maskers, by name, whose probabilities it keeps on disk to build on."""
        return {}


def is_whole(clip: Clip, references: References) -> bool:
    """Whether these are all that maskers are given: a fit on them is no fold's, and its records may be kept."""
    return references.part in clip.parts and set(references.stems) == set(clip.split(references.part).nn)


@dataclass
class FrameMasker(Masker):
    """A masker that sees one frame at a time; frames are computed in parallel.

    Attributes:
        workers: Frames computed at once.
    """

    workers: int = field(default=2, kw_only=True, metadata=NO_EFFECT)

    @abstractmethod
    def predict_frame(self, image: Image) -> Probability:
        """The subject's probability (H, W) in 0..1 for one frame (H, W, 3)."""

    def predict(self, clip: Clip, stems: Iterable[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's probability, in order."""
        yield from prefetch_map(lambda stem: (stem, self.predict_frame(clip.frames.read(stem))), stems, self.workers)


@dataclass
class SequenceMasker(Masker):
    """A masker that sees one run between two hand masks at a time; the next runs are begun while one is used.

    Hand-masked frames keep their hand masks.

    Attributes:
        workers: Runs at work at once; 1 for no more than the one that is used.
    """

    workers: int = field(default=2, kw_only=True, metadata=NO_EFFECT)

    @abstractmethod
    def predict_interval(self, clip: Clip, run: FrameInterval, wanted: frozenset[str]) -> Frames:
        """Yield the wanted frames of a run, in order, each the same whatever else is wanted.

        What has to be done before the first frame is done before it is yielded, so that it can be done ahead. A frame
        that is not needed must not be held.
        """

    def fit(self, clip: Clip, references: References) -> Self:
        """Keep the hand masks, with which alone the runs are masked.

        Raises:
            MaskError: If none of them belongs to a frame of the clip.
        """
        known = [place for place, stem in enumerate(references.stems) if stem in clip.frames]
        if not known:
            raise MaskError(
                clip.path,
                found="no hand mask of any of the clip's frames",
                expected="at least one to begin from",
                hint="name the masks like their frames",
            )
        if len(known) < len(references):
            log.warning("%d hand masks belong to no frame of the clip and are not used", len(references) - len(known))
        self._masks: dict[str, Mask] = {references.stems[place]: references.masks[place] for place in known}
        return self

    def predict(self, clip: Clip, stems: Iterable[str]) -> Frames:
        """Yield each named frame's probability, in the order asked; neighbours asked in order cost least."""
        groups = self._grouped(clip, list(stems))

        def begin(group: tuple[FrameInterval | None, list[str]]) -> Frames:
            run, wanted = group
            if run is None:
                return iter([(stem, self._masks[stem].astype(np.float32)) for stem in wanted])
            frames = self.predict_interval(clip, run, frozenset(wanted))
            return chain(list(islice(frames, 1)), frames)

        for frames in prefetch_map(begin, groups, self.workers - 1) if self.workers > 1 else map(begin, groups):
            yield from frames

    def _grouped(self, clip: Clip, stems: list[str]) -> list[tuple[FrameInterval | None, list[str]]]:
        """The stems asked, in groups of one run in order each; hand-masked frames stand alone, without a run."""
        places = {stem: place for place, stem in enumerate(clip.stems)}
        run_of = {stem: run for run in intervals_between(clip.stems, list(self._masks)) for stem in run.stems}
        groups: list[tuple[FrameInterval | None, list[str]]] = []
        for stem in stems:
            run = run_of.get(stem)
            if groups and run is not None and groups[-1][0] is run and places[groups[-1][1][-1]] < places[stem]:
                groups[-1][1].append(stem)
            else:
                groups.append((run, [stem]))
        return groups
