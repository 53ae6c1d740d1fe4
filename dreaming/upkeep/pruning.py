"""Removal of files that dreaming wrote and can compute again: caches, superseded weights, unfinished files."""

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import filelock

from dreaming.artifacts.history import FOLDER as HISTORY
from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.errors import ClipError
from dreaming.io.atomic import abandoned_files
from dreaming.io.cache_size import readable
from dreaming.io.frame_folder import is_signed
from dreaming.io.locks import FOLDER as LOCKS
from dreaming.live.choice import MODELS as STYLES
from dreaming.training import run_registry as runs
from dreaming.training.run_registry import Best

log = logging.getLogger(__name__)

CACHES: Mapping[str, str] = {
    "flow": "flow",
    "filtered": "filter",
    "guides": "guide",
    "predictions": "predictions",
    HISTORY: "mask",
}
"""Folders of a clip, and the maker in the manifests of what may be removed there."""

WEIGHTS = ("best.ckpt", "end.ckpt", "last.ckpt", "rolling.ckpt")
"""Checkpoints of a fit, in its folder ``checkpoints``."""

RESUMING = ("last.ckpt", "rolling.ckpt")
"""Those that only an unfinished fit needs."""


@dataclass(frozen=True)
class Removable:
    """Files of one kind that can be computed again.

    Attributes:
        kind: What they are, for the log.
        files: The files, in the order in which they are removed.
    """

    kind: str
    files: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Their size in bytes; a file with other hard links frees nothing."""
        statuses = [path.stat() for path in self.files]
        return sum(status.st_size for status in statuses if status.st_nlink == 1)


def removable(clip: Path) -> list[Removable]:
    """Find what can be removed from a clip's folder; nothing in it is changed.

    Only files that a manifest of dreaming's names and that carry its mark, checkpoints of finished runs, and temporary
    files of dead processes of this machine are found.
    """
    found = [Removable(name, tuple(_cached(clip, name, maker))) for name, maker in CACHES.items()]
    found.append(Removable("checkpoints", tuple(_unused_checkpoints(clip))))
    found.append(Removable("unfinished files", tuple(sorted(abandoned_files(clip)))))
    return [each for each in found if each.files]


def prune(clip: Path, *, delete: bool) -> int:
    """Log what can be removed from a clip's folder, and remove it if ``delete``; return its size in bytes.

    Raises:
        ClipError: If another process works in the clip.
    """
    with ExitStack() as held:
        if delete:
            _hold_all_locks(clip, held)
        found = removable(clip)
        for each in found:
            log.info("%s: %d files, %s", each.kind, len(each.files), readable(each.size))
        total = sum(each.size for each in found)
        for path in (path for each in found for path in each.files if delete):
            path.unlink(missing_ok=True)
            _remove_empty(path.parent, clip)
    free = readable(shutil.disk_usage(clip).free)
    if delete:
        log.info("prune: %s freed, %s free; what is needed again is computed again", readable(total), free)
    else:
        log.info("prune: %s could be freed, %s free; prune=delete removes these files", readable(total), free)
    return total


def _hold_all_locks(clip: Path, held: ExitStack) -> None:
    for path in sorted((clip / LOCKS).glob("*.lock")):
        try:
            held.enter_context(filelock.FileLock(path).acquire(timeout=0))
        except filelock.Timeout:
            raise ClipError(
                clip, found="another process that works in this folder", expected="none", hint="wait until it has ended"
            ) from None


def _cached(clip: Path, name: str, maker: str) -> Iterator[Path]:
    """Yield the frames of a cache, and each manifest after the frames that it names."""
    for record in sorted((clip / name).rglob(MANIFEST)):
        made = Manifest.read(record)
        if made is None or made.maker != maker or made.unread or not _is_inside(record, clip):
            continue
        folders = [record.parent, *(path for path in record.parent.iterdir() if path.is_dir() and path.name.isdigit())]
        stems = [stem for stem in made.stems if Path(stem).name == stem]
        paths = (folder / f"{stem}.png" for folder in folders for stem in stems)
        yield from (path for path in paths if is_signed(path) and _is_inside(path, clip))
        yield record


def _is_inside(path: Path, clip: Path) -> bool:
    """Whether no part of a path below the clip's folder is a symbolic link."""
    return path.resolve() == clip.resolve() / path.relative_to(clip)


def _unused_checkpoints(clip: Path) -> Iterator[Path]:
    """Yield checkpoints of finished runs that only resuming needs, and all of runs that no result depends on."""
    manifests = [made for pattern in ("masks", "styled", "preview") for made in _manifests(clip / pattern)]
    known = {value for made in manifests for value in made.inputs.values()}
    fitted = {made.inputs["fitted"] for made in manifests if "fitted" in made.inputs}
    for folder in sorted((clip / "runs").glob("*")):
        finished = [
            best
            for path in sorted(folder.glob(f"**/{runs.RESULT}"))
            if not runs.is_trial(path.parent, folder) and (best := Best.read(path, path.parent)) is not None
        ]
        pointed = {best.weights.resolve() for path in folder.glob("best*.json") if (best := runs.read_best(path))}
        newest = {best.subject: best for best in finished}
        prints = {best.folder: best.weights_fingerprint for best in finished}
        # The weights of a model with inputs from other maskers are hidden in the fingerprint of all of them.
        all_known = folder.name in STYLES or fitted <= set(prints.values())
        for best in finished:
            is_used = (
                best.weights.resolve() in pointed
                or best in newest.values()
                or prints[best.folder] in known
                or (not all_known and runs.find(folder, best.fingerprint) == best)
            )
            names = RESUMING if is_used else WEIGHTS
            for path in sorted(best.folder.glob("**/checkpoints/*.ckpt")):
                is_named = is_used and path.resolve() == best.weights.resolve()
                if path.name in names and not is_named and path.is_file() and _is_inside(path, clip):
                    yield path


def _manifests(folder: Path) -> Iterable[Manifest]:
    return [made for path in folder.rglob(MANIFEST) if (made := Manifest.read(path)) is not None]


def _remove_empty(folder: Path, clip: Path) -> None:
    with suppress(OSError):  # something else is in there
        while folder != clip and not any(os.scandir(folder)):
            folder.rmdir()
            folder = folder.parent
