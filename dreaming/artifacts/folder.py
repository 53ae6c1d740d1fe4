"""Folders of frames written by dreaming, each with a manifest; several processes may fill one together."""

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from dreaming.artifacts.history import ArtifactHistory, remove_frames
from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.artifacts.shard import Work, undivided
from dreaming.io.atomic import discard_unfinished, refuse_links
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.image import SUFFIXES
from dreaming.io.locks import lock
from dreaming.io.prefetch import prefetch_map
from dreaming.progress import Bar, bar

log = logging.getLogger(__name__)

Maker = Callable[[list[str]], Iterable[tuple[str, Any]]]
"""Yields the named frames with their names, in the order given."""

SET_ASIDE = ".kept-"
"""Suffix of the name of a folder that was set aside; a number follows."""


def set_aside_name(path: Path) -> Path:
    """Return the first unused name for setting a file or folder aside: ``NAME.kept-1``, ``NAME.kept-2``, ..."""
    names = (path.with_name(f"{path.name}{SET_ASIDE}{number}") for number in count(1))
    return next(name for name in names if not os.path.lexists(name))


@dataclass(frozen=True)
class ArtifactFolder:
    """A folder of frames with its manifest.

    If the manifest differs from the one wanted, the frames are removed, but only those that the manifest names and that
    dreaming wrote. A folder with pictures but without a manifest that this version understands is renamed to
    ``NAME.kept-1``. A picture of the user's that has the name of a frame is moved there.

    Attributes:
        frames: The folder.
        root: The clip's folder, which holds the locks.
        title: Its name in the log.
        has_history: Whether the frames of earlier manifests are kept, in case one of these is wanted again.
    """

    frames: FrameFolder
    root: Path
    title: str
    has_history: bool = False

    @property
    def path(self) -> Path:
        """The folder's path."""
        return self.frames.path

    @property
    def manifest(self) -> Manifest | None:
        """The manifest in the folder, if there is one that can be read."""
        return Manifest.read(self.path / MANIFEST)

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Hold the folder's lock of this name."""
        return lock(self.root, self.lock_name(name), f"{self.title}: waiting for another process")

    def lock_name(self, name: str) -> str:
        """Return the name of the lock within the clip."""
        return f"{self.path.relative_to(self.root)} {name}"

    def missing(self, stems: Iterable[str], wanted: Manifest) -> list[str]:
        """Return those of the frames that do not exist or belong to another manifest."""
        self.frames.refresh()
        if self.manifest != wanted:
            return list(stems)
        return [stem for stem in stems if stem not in self.frames]

    def complete(
        self,
        stems: Sequence[str],
        every: Sequence[str],
        wanted: Callable[[], Manifest],
        begin: Callable[[list[str]], Maker],
        *,
        write: Callable[[str, Any], object] | None = None,
        share: str = "1-of-1",
        share_out: Callable[[list[str], Work], None] = undivided,
        unchanged: Callable[[Manifest, Manifest], Collection[str]] = lambda before, wanted: (),
        writers: int = 2,
        level: int = logging.INFO,
    ) -> int:
        """Make the frames that are missing, and remove those of another manifest.

        Nothing is removed before the first new frame exists, so that a maker that fails at once costs nothing.

        Args:
            stems: Names of the frames that are needed.
            every: Names of all frames that the folder may hold under this manifest.
            wanted: Returns the manifest of the frames; called again after ``begin``, which may fit a model.
            begin: Called once with the missing frames, for example to fit a model; returns the function to make them.
            write: Writes a frame by its name; by default as a PNG.
            share: Name of the share of frames that ``stems`` is; two processes never make the same share at once.
            share_out: Runs the work on the missing frames, perhaps a share of them in each of several processes.
            unchanged: Returns the frames that are equal under two manifests; asked where ``has_history``.
            writers: Threads that encode and write frames.
            level: Log level of the line that says what was made.

        Returns:
            How many frames were made.
        """
        with self.lock(share):
            self.discard_unfinished(stems)
            if self.has_history:
                self._reuse(wanted(), every, unchanged)
            missing = self.missing(stems, wanted())
            if not missing:
                log.debug("%s: up to date (%d frames)", self.title, len(stems))
                return 0
            self.refuse_links()
            make = begin(missing)
            begun = time.monotonic()
            write = write or self.frames.write
            share_out(missing, _Filling(self, tuple(every), wanted(), make, write, writers))
            self.frames.refresh()
            seconds = time.monotonic() - begun
            rate = len(missing) / max(seconds, 1e-9)
            log.log(level, "%s: %d frames in %.1f s (%.1f frames/s)", self.title, len(missing), seconds, rate)
            return len(missing)

    def refuse_links(self) -> None:
        """Refuse a folder that is, or lies in, a symbolic link below the clip's folder.

        Raises:
            ClipError: If it does.
        """
        for folder in {self.path, *(path.parent for path in self.frames.outputs("x"))}:
            inside = folder.relative_to(self.root)
            refuse_links(*(self.root / part for part in (*reversed(inside.parents), inside) if part.parts))

    def discard_unfinished(self, stems: Iterable[str]) -> None:
        """Remove the temporary files of these frames that killed processes left."""
        names: dict[Path, list[str]] = {}
        for stem in stems:
            for path in self.frames.outputs(stem):
                names.setdefault(path.parent, []).append(path.name)
        for folder, files in names.items():
            discard_unfinished(folder, files)

    def prepare(self, wanted: Manifest, every: Sequence[str]) -> None:
        """Prepare the folder for this manifest: remove frames of another one, and set the user's pictures aside.

        Raises:
            ClipError: If the folder is a symbolic link.
        """
        self.refuse_links()
        with self.lock("manifest"):
            discard_unfinished(self.path, [MANIFEST])
            before = self.manifest
            if before == wanted:
                return
            if before is not None and not before.unread and before.maker == wanted.maker:
                log.info("%s: remade: %s changed", self.title, wanted.difference(before))
                if self.has_history:
                    ArtifactHistory(self.frames, self.root).keep(before)
                # The old manifest stays until its frames are gone, so that a kill leaves none unexplained.
                self.remove(before)
            elif (self.path / MANIFEST).exists() or self._has_pictures():
                self._set_aside_all()
            self._set_aside_strangers(every)
            self.frames.refresh()
            replace(wanted, stems=tuple(every)).write(self.path / MANIFEST)

    def remove(self, made: Manifest) -> None:
        """Remove the frames that a manifest names, except files that dreaming did not write."""
        remove_frames(self.frames, made)

    def _reuse(
        self, wanted: Manifest, every: Sequence[str], unchanged: Callable[[Manifest, Manifest], Collection[str]]
    ) -> None:
        """Use frames of the folder, and of its history, that are equal under the wanted manifest."""
        with self.lock("manifest"):
            history, before = ArtifactHistory(self.frames, self.root), self.manifest
            if before is None or before.unread or before.maker != wanted.maker:
                return
            if before == wanted:
                history.restore(wanted)  # a kill may have prevented it before
                return
            kept = unchanged(before, wanted)
            if not kept and not history.holds(wanted):
                return
            self.refuse_links()
            log.info("%s: %s changed", self.title, wanted.difference(before))
            history.keep(before)
            remove_frames(self.frames, before, kept)
            self._set_aside_strangers([stem for stem in every if stem not in kept])
            replace(wanted, stems=tuple(every)).write(self.path / MANIFEST)
            replace(history.restore(wanted), stems=tuple(every)).write(self.path / MANIFEST)

    def add_time(self, wanted: Manifest, progress: Bar) -> None:
        """Add the time of some frames to the manifest."""
        with self.lock("manifest"):
            before = self.manifest
            if before is None or before != wanted:
                log.warning("%s: another process changed this folder meanwhile; run the same command again", self.path)
                return
            seconds, frames = before.seconds + progress.seconds, before.frames + progress.done
            replace(before, seconds=seconds, frames=frames).write(self.path / MANIFEST)

    def _has_pictures(self) -> bool:
        return any(path.suffix.lower() in SUFFIXES for path in self.path.rglob("*"))

    def _set_aside_all(self) -> None:
        kept = set_aside_name(self.path)
        self.path.rename(kept)
        log.warning("%s: its manifest is missing or of another version, so it is kept as %s", self.path, kept.name)

    def _set_aside_strangers(self, every: Sequence[str]) -> None:
        """Move pictures that have the name of a frame, but that dreaming did not write, to another folder."""
        self.frames.refresh()
        listed = self.frames.files
        ours = [path for stem in every for path in (*self.frames.outputs(stem), listed.get(stem)) if path is not None]
        strangers = [path for path in dict.fromkeys(ours) if os.path.lexists(path)]
        if not strangers:
            return
        kept = set_aside_name(self.path)
        for path in strangers:
            target = kept / path.relative_to(self.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        names = ", ".join(path.name for path in strangers[:3]) + (", ..." if len(strangers) > 3 else "")
        log.warning("%s: %s not written by dreaming, so kept in %s", self.path, names, kept.name)


@dataclass(frozen=True)
class _Filling:
    """Makes frames and writes them to a folder: all missing ones or a share of them, here or in another process."""

    folder: ArtifactFolder
    every: tuple[str, ...]
    wanted: Manifest
    make: Maker
    write: Callable[[str, Any], object]
    writers: int

    def __call__(self, share: list[str]) -> None:
        frames = iter(self.make(share))
        first = list(islice(frames, 1))
        self.folder.prepare(self.wanted, self.every)
        with bar(self.folder.title, len(share)) as progress:
            for _ in prefetch_map(lambda frame: self.write(*frame), chain(first, frames), self.writers):
                progress.advance()
        self.folder.add_time(self.wanted, progress)
