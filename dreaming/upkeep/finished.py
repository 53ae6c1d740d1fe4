"""Commands that have finished: the same command again ends at once, as long as no file that it depends on changes.

Without this, a command reads the names of all frames several times, and imports and builds everything that it would
train, to find that nothing is to be done.
"""

import logging
import os
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from dreaming.artifacts.measurements import RECORD as MEASUREMENTS
from dreaming.artifacts.record import read_record, write_record
from dreaming.clip.clip import Clip
from dreaming.clip.frame_digests import RECORD as DIGESTS
from dreaming.io.atomic import is_writable
from dreaming.io.file_stamp import ALL, FileStamp
from dreaming.stages.scores.record import are_scores, print_table, read_scores

log = logging.getLogger(__name__)

RECORD = ".finished.json"
"""Record in the clip's folder; it may be deleted."""

KEPT = 16
"""Commands that the record remembers."""

MARGIN = 2.0
"""Seconds before a command's start from which on a changed file may have been read before or after the change."""

CLOCKS = 1.0
"""Seconds by which the clock of the file system may differ from that of this machine."""

UNWATCHED = frozenset({RECORD, DIGESTS, MEASUREMENTS, ".locks", ".ui", ".previous", "trash", "predictions"})
"""Entries of the clip's folder on which no result depends."""

CACHES = {"flow": "flow", "guides": "guide", "filtered": "filter"}
"""Folders that only count if their stage is named: they are made again when something that needs them is made."""

RECORDS = {"runs": ("best*.json", "result.json"), "sweeps": ("best.yaml",)}
"""Files that count in folders that contain many others."""

MADE = frozenset(
    {"opacity", "source.json", "split.json", "shots.json", "masks", "mattes", "styled", "composite", "alpha"}
    | {"export", "preview", "preview.mp4", "dream.mp4", "dream.json", "evaluation.json", "evaluation.csv", "runs"}
    | {"report.html", "suggestions.json", "suggestions.png", "bounds.json", "gmm_components.png", ".outputs.json"}
    | set(CACHES)
)
"""Entries that a command itself changes; all others must be older than the command."""


@dataclass(frozen=True)
class FinishedCommand:
    """A command of ``dreaming`` for one clip.

    Attributes:
        clip: The clip's folder.
        about: What else decides the result: arguments, working folder, and the program's own files.
        begun: Time of its start, in seconds since the epoch.
    """

    clip: Path
    about: Mapping[str, Any]
    begun: float

    @classmethod
    def begin(cls, clip: Path, arguments: Sequence[str], program: Sequence[Path]) -> "FinishedCommand":
        """Describe a command that begins now; ``program`` are the files and folders of the program and its config."""
        begun = time.time()
        stamps = [FileStamp.of(path, ("*.py", "*.yaml", "*.j2")).digest for path in program]
        return cls(clip, {"arguments": list(arguments), "folder": str(Path.cwd()), "program": stamps}, begun)

    def has_finished(self) -> bool:
        """Whether this command has finished before, and nothing has changed since; if so, log what it made."""
        entry = next((entry for entry in self._entries() if entry.get("about") == self.about), None)
        if entry is None or not self._is_current(entry):
            return False
        stages, opened = entry["stages"], entry["open"]
        log.info("up to date, and nothing has changed since: %s", ", ".join(stages))
        if entry["scores"]:
            print_table(entry["scores"])
        if opened:
            log.info("open: %s", " ".join(map(shlex.quote, opened)))
        return True

    def record(self, config: Any, stages: Sequence[str], opened: Sequence[Path]) -> None:
        """Record that the command has finished, unless a file of the user's has changed since its start.

        Args:
            config: The resolved config as plain data; files and folders that it names are watched.
            stages: The named stages.
            opened: Files for a person to open.
        """
        if not is_writable(self.clip):
            return
        clip, stamps = Clip(self.clip), dict[str, str]()
        made = MADE | ({"frames"} if clip.frames_are_made else set())
        outside = [
            text for text in (*_texts_in(config), *_texts_in(read_record(clip.source))) if self._is_outside(text)
        ]
        for name, path, patterns in self._watched(stages, outside):
            stamp = FileStamp.of(path, patterns)
            if name not in made and stamp.newest >= (self.begun - MARGIN) * 1e9:
                log.debug("%s: changed since the start, so the next run looks at everything again", path)
                return
            stamps[name] = stamp.digest
        entry = {
            "about": self.about,
            "files": stamps,
            "stages": list(stages),
            "open": [str(path) for path in opened],
            "scores": read_scores(clip) if "evaluate" in stages else [],
        }
        others = [entry for entry in self._entries() if entry.get("about") != self.about]
        write_record(self.clip / RECORD, {"commands": [entry, *others[: KEPT - 1]]})
        # The clock of a file server that differs would make the comparison above meaningless.
        if abs((self.clip / RECORD).stat().st_mtime - time.time()) > CLOCKS:
            (self.clip / RECORD).unlink(missing_ok=True)

    def _entries(self) -> list[dict[str, Any]]:
        entries = (read_record(self.clip / RECORD) or {}).get("commands")
        return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []

    def _is_current(self, entry: Mapping[str, Any]) -> bool:
        files, stages, opened, scores = (entry.get(key) for key in ("files", "stages", "open", "scores"))
        if not (isinstance(files, dict) and _are_texts(stages) and _are_texts(opened) and are_scores(scores)):
            return False
        watched = list(self._watched(stages, [name for name in files if Path(name).is_absolute()]))
        return [name for name, _, _ in watched] == list(files) and all(
            FileStamp.of(path, patterns).digest == files[name] for name, path, patterns in watched
        )

    def _watched(self, stages: Sequence[str], outside: Iterable[str]) -> Iterator[tuple[str, Path, tuple[str, ...]]]:
        """Yield name, path and patterns of everything that the results depend on or consist of."""
        for path in sorted(self.clip.iterdir()):
            if path.name not in UNWATCHED and CACHES.get(path.name) in (None, *stages):
                yield path.name, path, RECORDS.get(path.name, ALL)
        for name in sorted({str(Path(name).absolute()) for name in outside}):
            yield name, Path(name), ALL

    def _is_outside(self, text: str) -> bool:
        """Whether a text is the path of something that neither lies in the clip's folder nor contains it."""
        clip, path = self.clip.absolute(), Path(text).absolute()
        exists = os.path.exists(text)  # noqa: PTH110 -- Path.exists raises for a text that is too long for a path
        return exists and not path.is_relative_to(clip) and not clip.is_relative_to(path)


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _texts_in(data: object) -> set[str]:
    """All texts in plain data, except the names of keys."""
    inside = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return {data} if isinstance(data, str) else set().union(*map(_texts_in, inside))


COMMAND: ContextVar[FinishedCommand | None] = ContextVar("command", default=None)
"""The command that this process runs, if it is one that can be recorded."""
