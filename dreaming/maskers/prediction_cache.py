"""A cache on disk of maskers' predictions, for the models that take them as input."""

import logging
import math
import os
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dreaming.artifacts.fingerprint import describe, fingerprint
from dreaming.artifacts.folder import ArtifactFolder, Maker
from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.io.atomic import is_running, is_writable, owner
from dreaming.io.cache_size import announce
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.locks import try_lock
from dreaming.io.prefetch import prefetch_map
from dreaming.maskers.base import Masker, Predictions

log = logging.getLogger(__name__)

MAKER = "predictions"
VERSION = 3
"""Raised when the same config gives other predictions."""
KEPT = 64
"""Folders kept for each masker of each part. A run needs 31 at most: all references, five folds, five in each fold."""
BYTES = 0.1
"""Size of a stored prediction per pixel: it is mostly 0 or 1."""
IN_USE = ".used-by-"
"""Prefix of the name of an empty file that marks the folder as in use by a process."""


@dataclass(frozen=True)
class PredictionCache:
    """The predictions of one masker that is fitted on some references, in ``predictions/``, 8 bits a pixel.

    Each config of the masker and each set of references has a folder of its own. ``predictions/`` may be deleted.

    Attributes:
        name: The masker's name.
        masker: The masker; it is fitted only if something is missing.
        left_out: The references to exclude from the fit; None: fit on all.
    """

    clip: Clip
    name: str
    masker: Masker
    references: References
    left_out: References | None = None

    @property
    def training_frames(self) -> References:
        """The references that the masker is fitted on."""
        return self.references if self.left_out is None else self.references.without(self.left_out.stems)

    @property
    def title(self) -> str:
        """Name of the predictions in the log."""
        without = "" if self.left_out is None else f" without {', '.join(self.left_out.stems)}"
        return f"predictions of {self.name}{without}"

    def complete(self, stems: Iterable[str], fitted: Masker | None = None) -> FrameFolder:
        """Predict those of the frames that are missing; the returned folder is not pruned while the object exists.

        ``fitted`` is the result of ``fit``, if the caller has it already.
        """
        stems = list(dict.fromkeys(stems))
        # The lock does not depend on the loaded weights, so that processes share it before and after these exist.
        name = f"predictions {self.references.part} {self.name} {self._manifest().fingerprint}"
        with self.clip.lock(name, f"{self.title}: waiting for another process that predicts the same"):
            folder, manifest = self.folder, self._fitted_manifest()
            artifact = ArtifactFolder(folder, self.clip.path, self.title)
            with artifact.lock(IN_USE):
                if not artifact.missing(stems, manifest):
                    _mark_in_use(folder)
                    return folder
            folder = self._predict(stems, self.fit() if fitted is None else fitted)
            _mark_in_use(folder)
        return folder

    def is_complete(self, stems: Iterable[str]) -> bool:
        """Whether none of the frames is missing."""
        return not ArtifactFolder(self.folder, self.clip.path, self.title).missing(stems, self._fitted_manifest())

    def fit(self) -> Masker:
        """Fit a copy of the masker, so that the masker itself stays small and can be sent to other processes."""
        masker = copy(self.masker)
        if self.left_out is None:
            return masker.fit(self.clip, self.references)
        return masker.fit_without(self.clip, self.references, self.left_out)

    def _predict(self, stems: list[str], masker: Masker) -> FrameFolder:
        def begin(missing: list[str]) -> Maker:
            announce(self.clip.path, self.title, len(missing), BYTES * math.prod(self.clip.size))
            return partial(masker.prepare(self.clip, missing).predict, self.clip)

        # The folder depends on the fingerprint of loaded weights, which exist only after the fit.
        folder = self.folder
        ArtifactFolder(folder, self.clip.path, self.title).complete(
            stems,
            list(dict.fromkeys([*self.references.stems, *self.clip.stems])),
            lambda: replace(self._fitted_manifest(), fit_report=masker.fit_report),
            begin,
            write=folder.write_probability,
            share_out=masker.share_out,
            level=logging.INFO if self.left_out is None else logging.DEBUG,
        )
        prune(self.clip, folder.path.parent, KEPT)
        return folder

    def predict(self, stems: Iterable[str]) -> Predictions:
        """Yield each named frame's probability, in order, from the folder."""
        stems = list(stems)
        folder, size = self.complete(stems), self.clip.size
        yield from prefetch_map(lambda stem: (stem, folder.read_probability(stem, size)), stems, 2)

    @property
    def fit_report(self) -> Mapping[str, Any]:
        """The report of the masker's fit from the manifest; empty if there is none."""
        made = Manifest.read(self.folder.path / MANIFEST)
        return {} if made is None else made.fit_report

    @property
    def folder(self) -> FrameFolder:
        """The folder of the predictions."""
        path = predictions(self.clip, self.references.part, self.name) / self._fitted_manifest().fingerprint[:16]
        return FrameFolder(path)

    def _manifest(self, **fitted: str) -> Manifest:
        training_frames = self.training_frames
        inputs = {
            "frames": self.clip.sequence_fingerprint,
            "references": fingerprint(training_frames.stems, training_frames.images, training_frames.masks),
            **fitted,
        }
        if self.left_out is not None:
            # A left-out mask may be one that only the ensemble is trained on.
            inputs["left out"] = fingerprint(self.left_out.stems)
        return Manifest(MAKER, VERSION, {"masker": describe(self.masker)}, inputs)

    def _fitted_manifest(self) -> Manifest:
        return self._manifest(fitted=self.masker.fitted_fingerprint(self.clip, self.references))


def _mark_in_use(folder: FrameFolder) -> None:
    """Protect a folder from ``prune`` while this object exists and its process runs."""
    if not is_writable(folder.path):
        return
    marker = folder.path / f"{IN_USE}{owner()}-{id(folder)}"
    marker.touch()
    # The time of the last use; without ns, the system's own clock may be 4 ms behind.
    os.utime(folder.path / MANIFEST, ns=(time.time_ns(), time.time_ns()))
    weakref.finalize(folder, _release, marker, os.getpid())


def _release(marker: Path, process: int) -> None:
    if os.getpid() == process:  # not a fork of it
        marker.unlink(missing_ok=True)


def prune(clip: Clip, parent: Path, kept: int) -> None:
    """Remove the least recently used folders of one masker beyond the number ``kept``, unless a process uses them.

    Only files that the manifest names are removed, then folders that are empty.
    """
    if not is_writable(parent):
        return
    manifests = [(path, Manifest.read(path)) for path in parent.glob(f"*/{MANIFEST}")]
    ours = [(path, made) for path, made in manifests if made is not None and made.maker == MAKER and not made.unread]
    ours = [(path, made) for path, made in ours if not path.parent.is_symlink() and not path.is_symlink()]
    ours.sort(key=lambda entry: entry[0].stat().st_mtime_ns, reverse=True)
    for path, made in ours[kept:]:
        folder = ArtifactFolder(FrameFolder(path.parent), clip.path, path.parent.name)
        with try_lock(clip.path, folder.lock_name(IN_USE)) as is_free:
            if not is_free or _is_in_use(path.parent):
                continue
            folder.remove(made)
            path.unlink(missing_ok=True)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()


def _is_in_use(folder: Path) -> bool:
    for marker in folder.glob(f"{IN_USE}*"):
        if is_running(marker.name.removeprefix(IN_USE).rpartition("-")[0]) is not False:
            return True
        marker.unlink(missing_ok=True)
    return False


def predictions(clip: Clip, part: str, name: str) -> Path:
    """Return the folder that contains all prediction folders of one masker."""
    return clip.path / "predictions" / part / name


def gap(clip: Clip, stem: str, marked: Sequence[str]) -> int:
    """Return the distance in frames from a frame to the nearest marked one of its shot.

    It is the clip's length if only other shots have one, and 0 if none has one or the picture is no frame.
    """
    if stem not in clip.frames or not any(name in clip.frames for name in marked):
        return 0
    index = {name: number for number, name in enumerate(clip.stems)}
    known = [index[name] for name in marked if clip.shots.joined(name, stem)]
    return min((abs(index[stem] - number) for number in known), default=len(clip.stems))
