"""What all stages share: folders of frames that are made, found done, made again or completed."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import MANIFEST, Clip
from dreaming.errors import ClipError
from dreaming.io.atomic import discard_unfinished
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.manifest import NO_EFFECT, Manifest, describe
from dreaming.io.prefetch import prefetch_map
from dreaming.io.shard import Shard, Work, undivided
from dreaming.progress import Bar, bar

log = logging.getLogger(__name__)

Frames = Iterable[tuple[str, NDArray[np.uint8]]]
Maker = Callable[[list[str]], Frames]
"""Yields the named frames, in the order given."""


@dataclass
class Stage(ABC):
    """One step from the video to the stylised video. Its fields are its config.

    Attributes:
        shard: The share of the frames that this process makes.
        writers: Threads that encode and write frames.
        run_folder: Where this run's own records go; None for a new one in the clip.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ()
    reads_its_share: ClassVar[bool] = False
    """Whether it can do with this process's share of what it reads; else its inputs are made whole before it."""

    shard: Shard = field(default_factory=Shard, kw_only=True, metadata=NO_EFFECT)
    writers: int = field(default=2, kw_only=True, metadata=NO_EFFECT)
    run_folder: Path | None = field(default=None, kw_only=True, metadata=NO_EFFECT)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the stages whose outputs it reads, configured as it is."""
        return self.reads

    @abstractmethod
    def skips(self, clip: Clip) -> str | None:
        """Why there is nothing to do for this clip, in a few words; None if there is."""

    def check(self, clip: Clip) -> None:
        """Refuse what a person handed in and it cannot use, before other stages take their time; frames are there."""
        return

    @abstractmethod
    def run(self, clip: Clip) -> float | None:
        """Read the declared inputs, write the declared outputs; a stage that scores returns what a sweep maximises."""

    def manifest(self, **inputs: str) -> Manifest:
        """What a folder made by this stage depends on."""
        return Manifest(self.name, self.version, describe(self), inputs)

    def complete(
        self,
        clip: Clip,
        folder: FrameFolder,
        stems: Sequence[str],
        manifest: Callable[[], Manifest],
        begin: Callable[[list[str]], Maker],
        share_out: Callable[[list[str], Work], None] = undivided,
    ) -> None:
        """See to it that a folder holds all frames of this shard, made as the manifest says.

        A folder that is done is left alone; one of another manifest is made again; one that was cut off goes on with
        the frames that are missing. Two processes never make the same share at once. What was made before is removed
        only once the first new frame is there, so that a maker that cannot begin costs nothing.

        Args:
            clip: The clip.
            folder: The folder to fill.
            stems: Names of all its frames.
            manifest: What it depends on; asked again after fitting.
            begin: Told the missing frames, does what is done once for all of them, such as fitting, and gives what
                makes any of them.
            share_out: Does the work on the missing frames, perhaps a share of them in each of several processes; what
                makes them then travels there.
        """
        title = str(folder.path.relative_to(clip.path))
        share = self.shard.take(stems)
        with clip.lock(f"{title}-{self.shard}", f"{title}: waiting for another process that makes it"):
            discard_unfinished(folder.path, (f"{stem}.png" for stem in share))
            missing = self._missing(folder, share, manifest())
            if not missing:
                log.info("%s: done before, %d frames", title, len(share))
                return
            make = begin(missing)
            begun = time.monotonic()
            share_out(missing, _Filling(clip, folder, title, manifest(), make, self.writers))
            folder.refresh()
            seconds = time.monotonic() - begun
            rate = len(missing) / max(seconds, 1e-9)
            log.info("%s: %d frames in %.1f s (%.1f frames/s)", title, len(missing), seconds, rate)

    def _missing(self, folder: FrameFolder, share: list[str], wanted: Manifest) -> list[str]:
        folder.refresh()
        if Manifest.read(folder.path / MANIFEST) != wanted:
            return share
        return [stem for stem in share if stem not in folder]


@dataclass(frozen=True)
class _Filling:
    """What makes frames and puts them into a folder, as a whole or a share of them, here or in another process.

    Attributes:
        clip: The clip.
        folder: The folder to fill.
        title: Its name in the log.
        wanted: What it depends on.
        make: Makes frames.
        writers: Threads that encode and write frames.
    """

    clip: Clip
    folder: FrameFolder
    title: str
    wanted: Manifest
    make: Maker
    writers: int

    def __call__(self, share: list[str]) -> None:
        frames = iter(self.make(share))
        first = list(islice(frames, 1))
        with self._only_one():
            self._prepare()
        with bar(self.title, len(share)) as progress:
            for _ in prefetch_map(lambda frame: self.folder.write(*frame), chain(first, frames), self.writers):
                progress.advance()
        with self._only_one():
            self._add_time(progress)

    def _only_one(self) -> AbstractContextManager[None]:
        return self.clip.lock(f"{self.title}-manifest", f"{self.title}: waiting for another process")

    def _prepare(self) -> None:
        """Remove what was made otherwise, then say what is being made."""
        folder, title, wanted = self.folder, self.title, self.wanted
        folder.refresh()
        discard_unfinished(folder.path, [MANIFEST])
        found = Manifest.read(folder.path / MANIFEST)
        if found == wanted:
            return
        if found is not None:
            log.info("%s: made again, for what it depends on changed: %s", title, wanted.difference(found))
        elif len(folder):
            log.warning("%s: made again, for nothing says how the %d frames there were made", title, len(folder))
        # The old manifest stays until its frames are gone: a kill between leaves none of unknown making.
        for path in folder.files.values():
            path.unlink(missing_ok=True)
        folder.refresh()
        wanted.write(folder.path / MANIFEST)

    def _add_time(self, progress: Bar) -> None:
        before = Manifest.read(self.folder.path / MANIFEST)
        if before != self.wanted:
            log.warning("%s: another process made it otherwise meanwhile; run this again", self.folder.path)
            return
        assert before is not None
        spent = replace(before, seconds=before.seconds + progress.seconds, frames=before.frames + progress.done)
        spent.write(self.folder.path / MANIFEST)


def fingerprint_of(folder: FrameFolder) -> str:
    """Fingerprint of how a folder was made by an earlier stage, for the manifest of what is made from it.

    Raises:
        ClipError: If no stage made it.
    """
    found = Manifest.read(folder.path / MANIFEST)
    if found is None:
        raise ClipError(
            folder.path,
            found="no finished folder of frames",
            expected="the output of an earlier stage",
            hint="run `dreaming clip=...` without stages=, which makes what is missing",
        )
    return found.fingerprint
