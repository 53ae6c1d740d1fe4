"""A masker's probabilities kept on disk, so that whoever builds on them need not have them made again."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

from dreaming.clip.annotations import References
from dreaming.clip.clip import MANIFEST, Clip
from dreaming.io.atomic import discard_unfinished
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.manifest import Manifest, describe, fingerprint
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Probability
from dreaming.maskers.base import Masker
from dreaming.progress import bar

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictionCache:
    """What one masker finds after learning from some references, in ``predictions/``, 8 bits a pixel.

    A folder of its own belongs to each config of the masker and each set of references learnt from; whatever else
    changes, it holds true. All of ``predictions/`` may be deleted.

    Attributes:
        clip: The clip.
        name: The masker's name.
        masker: The masker; it is fitted only if something is missing.
        references: The hand-masked frames.
        left_out: Those of them that it must not learn from; None for a fit on all.
    """

    clip: Clip
    name: str
    masker: Masker
    references: References
    left_out: References | None = None

    @property
    def training_frames(self) -> References:
        """The references that the masker learns from."""
        return self.references if self.left_out is None else self.references.without(self.left_out.stems)

    def complete(self, stems: Iterable[str]) -> FrameFolder:
        """See to it that these frames are there; the folder that holds them, and perhaps others."""
        stems = list(dict.fromkeys(stems))
        title = self.name if self.left_out is None else f"{self.name} without {', '.join(self.left_out.stems)}"
        # What the masker has learnt is no part of it: two that begin before and after that are for one folder.
        lock = f"predictions-{self.references.part}-{self.name}-{self._manifest().fingerprint[:16]}"
        with self.clip.lock(lock, f"{title}: waiting for another process that makes its masks"):
            manifest, folder = self._place()
            missing = [stem for stem in stems if stem not in folder]
            if not missing:
                return folder
            # A copy learns: the masker itself stays as light as its config, and can travel to other processes.
            masker = copy(self.masker)
            if self.left_out is None:
                masker = masker.fit(self.clip, self.references)
            else:
                masker = masker.fit_without(self.clip, self.references, self.left_out)
            # A masker that loads what it has learnt knows only now what that is.
            manifest, folder = self._place()
            missing = [stem for stem in stems if stem not in folder]
            discard_unfinished(folder.path, (f"{stem}.png" for stem in missing))
            replace(manifest, fit_report=masker.fit_report).write(folder.path / MANIFEST)
            begun = time.monotonic()
            work = partial(_predict, masker.prepare(self.clip, missing), self.clip, folder, title)
            masker.share_out(missing, work)
            log.info("%s: %d frames in %.1f s", title, len(missing), time.monotonic() - begun)
        folder.refresh()
        return folder

    @property
    def fit_report(self) -> Mapping[str, Any]:
        """What the masker's fit found, where it was kept."""
        made = Manifest.read(self._place()[1].path / MANIFEST)
        return {} if made is None else made.fit_report

    def _manifest(self, **learnt: str) -> Manifest:
        training_frames = self.training_frames
        inputs = {
            "frames": self.clip.frames_fingerprint,
            "references": fingerprint(training_frames.stems, training_frames.images, training_frames.masks),
            **learnt,
        }
        if self.left_out is not None:
            # What is left out may be a mask that only the maskers' ensemble learns from.
            inputs["left out"] = fingerprint(self.left_out.stems)
        return Manifest("predictions", 1, {"masker": describe(self.masker)}, inputs)

    def _place(self) -> tuple[Manifest, FrameFolder]:
        manifest = self._manifest(learnt=self.masker.fitted_fingerprint(self.clip, self.references))
        return manifest, FrameFolder(
            predictions(self.clip, self.references.part, self.name) / manifest.fingerprint[:16]
        )


def _predict(masker: Masker, clip: Clip, folder: FrameFolder, title: str, stems: list[str]) -> None:
    with bar(title, len(stems)) as progress:
        for stem, probability in masker.predict(clip, stems):
            folder.write_probability(stem, probability)
            progress.advance()


@dataclass
class CachedMasker(Masker):
    """Another masker, its predictions kept on disk and taken from there.

    Attributes:
        masker: The masker.
        name: Its name.
    """

    kind: ClassVar[str] = "cached_masker"

    masker: Masker
    name: str

    def fit(self, clip: Clip, references: References) -> Self:
        """Note the references; the masker is fitted when something has to be predicted."""
        self._references = references
        self._fit_report: Mapping[str, Any] = {}
        return self

    def prepare(self, clip: Clip, stems: Sequence[str]) -> Self:
        """See to it that the predictions are there."""
        kept = PredictionCache(clip, self.name, self.masker, self._references)
        kept.complete(stems)
        self._fit_report = kept.fit_report
        return self

    @property
    def fit_report(self) -> Mapping[str, Any]:
        """What the masker's fit found."""
        return self._fit_report

    def predict(self, clip: Clip, stems: Iterable[str]) -> Iterator[tuple[str, Probability]]:
        """Yield each named frame's probability, in order."""
        stems = list(stems)
        folder = self._folder(clip, stems)
        yield from prefetch_map(lambda stem: (stem, folder.read_probability(stem, clip.size)), stems, 2)

    def _folder(self, clip: Clip, stems: Sequence[str]) -> FrameFolder:
        return PredictionCache(clip, self.name, self.masker, self._references).complete(stems)


def predictions(clip: Clip, part: str, name: str) -> Path:
    """Where the folders of one masker lie."""
    return clip.path / "predictions" / part / name


def gap(clip: Clip, stem: str, marked: Sequence[str]) -> int:
    """Frames from a frame to the nearest of those marked; 0 for a picture that is no frame of the clip."""
    places = {name: place for place, name in enumerate(clip.stems)}
    known = [places[name] for name in marked if name in places]
    return min((abs(places[stem] - place) for place in known), default=0) if stem in places else 0
