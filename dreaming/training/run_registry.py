"""Finished runs of a model in a clip: the best of each, and which of them fits what is asked for."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from dreaming.clip.annotations import SUBJECT
from dreaming.errors import CheckpointError
from dreaming.io.artifact_folder import set_aside_name
from dreaming.io.frame_folder import natural_key
from dreaming.io.manifest import SCHEMA, fingerprint_files, read_known_record, read_record, write_record

log = logging.getLogger(__name__)

RESULT = "result.json"
FINGERPRINT = "fingerprint.json"
TRIAL = "trial.json"
"""Lies in the run folder of a sweep's trial, which nobody else goes on with."""
MULTIRUN = "multirun.yaml"
"""Hydra's, where the run folders of several jobs lie."""


@dataclass(frozen=True)
class Best:
    """A finished run: where its weights are, how good they are, and what they were fitted on.

    Attributes:
        folder: Its folder.
        checkpoint: The weights, relative to the folder.
        score: The monitored value on unseen data.
        monitor: Name of that value.
        mode: ``max`` or ``min`` of it.
        steps: Training steps behind the weights.
        protocol: How unseen data was come by: ``explicit``, ``split``, ``folds`` or ``holdout``.
        subject: The part or layer that was learnt.
        fingerprint: Recipe, seed and fingerprint of the references, as plain data.
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
        """Whether its score beats another run's on the same references; scores on others cannot be compared."""
        if other is None or other.fingerprint["references"] != self.fingerprint["references"]:
            return True
        return self.score >= other.score if self.mode == "max" else self.score <= other.score

    @classmethod
    def read(cls, path: Path, folder: Path) -> Self | None:
        """Read a record; None if it is absent or its weights are gone."""
        data = read_known_record(path, [f.name for f in fields(cls) if f.name != "folder"])
        best = None if data is None else cls(folder=folder, **data)
        return best if best is not None and best.weights.exists() else None

    def write(self, path: Path, **place: str) -> None:
        """Write as JSON, atomically."""
        record = {key: value for key, value in asdict(self).items() if key != "folder"}
        write_record(path, {**record, **place})


def new_folder(runs: Path) -> Path:
    """A folder for a run that begins now."""
    return runs / datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")


def begin(folder: Path, fingerprint: Mapping[str, Any]) -> None:
    """Note what a run folder is for, or make sure that what was begun there is the same.

    Raises:
        CheckpointError: If the folder holds the beginning of another run.
    """
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
            expected="one begun with the same",
            hint="leave out `ckpt=last` to begin a new run, or set config and masks as they were",
        )


def record(best: Best, runs: Path) -> None:
    """Note that a run is finished, and make it the best if it is."""
    best.write(best.folder / RESULT)
    pointer = runs / ("best.json" if best.subject == SUBJECT else f"best-{best.subject}.json")
    before = read_best(pointer)
    if before is None and pointer.exists():
        pointer.rename(set_aside_name(pointer))
    if best.better_than(before):
        best.write(pointer, checkpoint=os.path.relpath(best.weights, runs))
    elif before is not None:
        log.info("%s keeps %s %.4f of %s", pointer, before.monitor, before.score, before.checkpoint)


def read_best(pointer: Path) -> Best | None:
    """The run that a ``best.json`` points to."""
    return Best.read(pointer, pointer.parent)


def find(runs: Path, fingerprint: Mapping[str, Any]) -> Best | None:
    """The best finished run of exactly this fingerprint."""
    wanted = json.loads(json.dumps(fingerprint))
    found = [Best.read(path, path.parent) for path in sorted(runs.glob(f"**/{RESULT}"))]
    matching = [best for best in found if best is not None and best.fingerprint == wanted]
    chosen: Best | None = None
    for best in matching:
        chosen = best if best.better_than(chosen) else chosen
    return chosen


def unfinished(runs: Path, fingerprint: Mapping[str, Any]) -> Path | None:
    """The latest folder of a run of exactly this fingerprint that was cut off."""
    wanted = json.loads(json.dumps(fingerprint))
    for path in sorted(runs.glob(f"**/{FINGERPRINT}"), reverse=True):
        if (
            not (path.parent / RESULT).exists()
            and not is_trial(path.parent, runs)
            and read_record(path) == {"schema": SCHEMA, **wanted}
        ):
            return path.parent
    return None


def latest(runs: Path) -> Path | None:
    """The latest run folder that was begun and not finished: of a multirun, that of one of its jobs."""
    begun = {
        _run_of(path.parent, runs)
        for path in runs.glob(f"**/{FINGERPRINT}")
        if not _is_finished(path.parent, runs) and not is_trial(path.parent, runs)
    }
    return max(begun, key=lambda folder: [*map(natural_key, folder.relative_to(runs).parts)], default=None)


def _run_of(folder: Path, runs: Path) -> Path:
    """Which run folder a fit's folder lies in, as deep as its subject and its fold may be."""
    name, *inside = folder.relative_to(runs).parts
    return runs / name / inside[0] if inside and (runs / name / MULTIRUN).exists() else runs / name


def _is_finished(folder: Path, runs: Path) -> bool:
    return any((place / RESULT).exists() for place in (folder, *folder.parents) if place.is_relative_to(runs))


def is_trial(folder: Path, runs: Path) -> bool:
    """Whether a run folder belongs to a trial of a sweep."""
    return any((place / TRIAL).exists() for place in (folder, *folder.parents) if place.is_relative_to(runs))
