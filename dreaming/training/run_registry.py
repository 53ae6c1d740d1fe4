"""Records of a model's runs on a clip: the best one, the one with a given fingerprint, and interrupted ones."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self, get_type_hints

from dreaming.artifacts.fingerprint import fingerprint_files
from dreaming.artifacts.folder import set_aside_name
from dreaming.artifacts.record import SCHEMA, read_known_record, read_record, write_record
from dreaming.clip.annotations import SUBJECT
from dreaming.errors import CheckpointError
from dreaming.io.atomic import refuse_links_in
from dreaming.io.file_search import files_below
from dreaming.io.frame_folder import natural_key

log = logging.getLogger(__name__)

RESULT = "result.json"
FINGERPRINT = "fingerprint.json"
TRIAL = "trial.json"
"""File in the run folder of a sweep's trial, which only the sweep resumes."""
MULTIRUN = "multirun.yaml"
"""Hydra's file in the folder of a multirun, which contains the run folders of its jobs."""


@dataclass(frozen=True)
class Best:
    """A finished run.

    Attributes:
        folder: The run folder.
        checkpoint: Path of the weights, relative to the folder.
        score: The monitored value on held-out data.
        monitor: Name of that value.
        mode: Whether the highest (``max``) or the lowest (``min``) value is best.
        steps: Training steps of the weights.
        validation: How data was held out: ``explicit``, ``split``, ``folds`` or ``holdout``.
        subject: The part or layer.
        fingerprint: Task, seed and fingerprint of the references, as plain data.
        seconds: Wall time of training.
    """

    folder: Path
    checkpoint: str
    score: float
    monitor: str
    mode: str
    steps: int
    validation: str
    subject: str
    fingerprint: Mapping[str, Any]
    seconds: float

    @property
    def weights(self) -> Path:
        """The checkpoint file."""
        return self.folder / self.checkpoint

    @property
    def weights_fingerprint(self) -> str:
        """Fingerprint of the weights."""
        return fingerprint_files([self.weights])

    def better_than(self, other: Self | None) -> bool:
        """Whether it replaces another run: its score is no worse, or their references differ."""
        if other is None or other.fingerprint.get("references") != self.fingerprint.get("references"):
            return True
        return self.score >= other.score if self.mode == "max" else self.score <= other.score

    @classmethod
    def read(cls, path: Path, folder: Path) -> Self | None:
        """Read a record; None if it or its checkpoint does not exist."""
        kinds = {name: kind for name, kind in get_type_hints(cls).items() if name != "folder"}
        data = read_known_record(path, kinds)
        best = None if data is None else cls(folder=folder, **data)
        return best if best is not None and best.weights.is_file() else None

    def write(self, path: Path, **replaced: str) -> None:
        """Write as JSON, atomically, with some entries replaced."""
        record = {key: value for key, value in asdict(self).items() if key != "folder"}
        write_record(path, {**record, **replaced})


def new_folder(runs: Path) -> Path:
    """Path of a new run folder, named by the current time."""
    return runs / datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")


def begin(folder: Path, fingerprint: Mapping[str, Any]) -> None:
    """Write a run folder's fingerprint, or check that it is the same.

    Raises:
        ClipError: If the folder is or contains a symbolic link, through which a logger might overwrite a file.
        CheckpointError: If the folder belongs to another run.
    """
    refuse_links_in(folder)
    path = folder / FINGERPRINT
    wanted = json.loads(json.dumps(fingerprint))
    if not path.exists():
        write_record(path, wanted)
        return
    wanted = {"schema": SCHEMA, **wanted}
    found = read_record(path) or {}
    if found != wanted:
        differing = [key for key in {**wanted, **found} if found.get(key) != wanted.get(key)]
        raise CheckpointError(
            folder,
            found=f"a run of another config, clip or set of references (different: {', '.join(differing)})",
            expected="a run of the current ones",
            hint="leave out `ckpt_path=last` to begin a new run, or set config and masks as they were",
        )


def record(best: Best, runs: Path) -> None:
    """Record a finished run, and let ``best.json`` point to it if it is the best one."""
    best.write(best.folder / RESULT)
    pointer = pointer_to_best(runs, best.subject)
    before = read_best(pointer)
    if before is None and pointer.exists():
        pointer.rename(set_aside_name(pointer))
    if best.better_than(before):
        best.write(pointer, checkpoint=os.path.relpath(best.weights, runs))
    elif before is not None:
        log.info("%s still points to %s %.4f of %s", pointer, before.monitor, before.score, before.checkpoint)


def pointer_to_best(runs: Path, subject: str) -> Path:
    """Path of the record that points to the best run of a model on a part or layer."""
    return runs / ("best.json" if subject == SUBJECT else f"best-{subject}.json")


def read_best(pointer: Path) -> Best | None:
    """The run that a ``best.json`` points to."""
    return Best.read(pointer, pointer.parent)


def find(runs: Path, fingerprint: Mapping[str, Any]) -> Best | None:
    """Find the best finished run with this fingerprint; of equal ones, the last by folder name."""
    wanted = json.loads(json.dumps(fingerprint))
    found = [Best.read(path, path.parent) for path in files_below(runs, RESULT)]
    matching = [best for best in found if best is not None and best.fingerprint == wanted]
    chosen: Best | None = None
    for best in matching:
        chosen = best if best.better_than(chosen) else chosen
    return chosen


def unfinished(runs: Path, fingerprint: Mapping[str, Any]) -> Path | None:
    """Find the latest folder of an interrupted run with this fingerprint."""
    wanted = json.loads(json.dumps(fingerprint))
    for path in reversed(files_below(runs, FINGERPRINT)):
        if (
            not (path.parent / RESULT).exists()
            and not is_trial(path.parent, runs)
            and read_record(path) == {"schema": SCHEMA, **wanted}
        ):
            return path.parent
    return None


def latest(runs: Path) -> Path | None:
    """Find the latest unfinished run folder; of a multirun, the folder of one of its jobs."""
    begun = {
        _run_of(path.parent, runs)
        for path in files_below(runs, FINGERPRINT)
        if not _is_finished(path.parent, runs) and not is_trial(path.parent, runs)
    }
    return max(begun, key=lambda folder: [*map(natural_key, folder.relative_to(runs).parts)], default=None)


def _run_of(folder: Path, runs: Path) -> Path:
    """The run folder that contains a fit's folder."""
    name, *inside = folder.relative_to(runs).parts
    return runs / name / inside[0] if inside and (runs / name / MULTIRUN).exists() else runs / name


def _is_finished(folder: Path, runs: Path) -> bool:
    return any((parent / RESULT).exists() for parent in (folder, *folder.parents) if parent.is_relative_to(runs))


def is_trial(folder: Path, runs: Path) -> bool:
    """Whether a run folder belongs to a trial of a sweep."""
    return any((parent / TRIAL).exists() for parent in (folder, *folder.parents) if parent.is_relative_to(runs))
