"""What all stages share: folders of frames that are made, found done, made again or completed."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dreaming.errors import ClipError
from dreaming.frames.clip import MANIFEST, Clip
from dreaming.frames.folder import FrameFolder, ahead, discard_unfinished
from dreaming.frames.manifest import NO_EFFECT, Manifest, describe
from dreaming.progress import Bar, bar

log = logging.getLogger(__name__)

Frames = Iterable[tuple[str, NDArray[np.uint8]]]


@dataclass(frozen=True)
class Shard:
    """One share of the frames: every ``count``-th, beginning with the ``index``-th from 1."""

    index: int = 1
    count: int = 1

    def take(self, stems: Sequence[str]) -> list[str]:
        """The names that fall to this share."""
        return list(stems[self.index - 1 :: self.count])

    def __str__(self) -> str:
        return f"{self.index}-of-{self.count}"


@dataclass(frozen=True)
class Stretch(Shard):
    """One share of the frames, the ``index``-th of ``count`` stretches of neighbours: for stages that look around."""

    def take(self, stems: Sequence[str]) -> list[str]:
        """The names that fall to this share."""
        first, last = (len(stems) * number // self.count for number in (self.index - 1, self.index))
        return list(stems[first:last])


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
        make: Callable[[list[str]], Frames],
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
            make: Yields the named frames in the order given; what it fits or loads happens before its first frame.
        """
        title = str(folder.path.relative_to(clip.path))
        share = self.shard.take(stems)
        with clip.lock(f"{title}-{self.shard}", f"{title}: waiting for another process that makes it"):
            discard_unfinished(folder.path, (f"{stem}.png" for stem in share))
            missing = self._missing(folder, share, manifest())
            if not missing:
                log.info("%s: done before, %d frames", title, len(share))
                return
            self._fill(clip, folder, title, missing, stems, manifest, make)

    def _fill(
        self,
        clip: Clip,
        folder: FrameFolder,
        title: str,
        missing: list[str],
        stems: Sequence[str],
        manifest: Callable[[], Manifest],
        make: Callable[[list[str]], Frames],
    ) -> None:
        frames = iter(make(missing))
        first = list(islice(frames, 1))
        wanted = manifest()
        with clip.lock(f"{title}-manifest", f"{title}: waiting for another process"):
            self._prepare(folder, title, stems, wanted)
        with bar(title, len(missing)) as progress:
            for _ in ahead(lambda frame: folder.write(*frame), chain(first, frames), self.writers):
                progress.advance()
        folder.refresh()
        with clip.lock(f"{title}-manifest", f"{title}: waiting for another process"):
            self._add_time(folder, wanted, progress)
        rate = progress.done / max(progress.seconds, 1e-9)
        log.info("%s: %d frames in %.1f s (%.1f frames/s)", title, progress.done, progress.seconds, rate)

    def _add_time(self, folder: FrameFolder, wanted: Manifest, progress: Bar) -> None:
        before = Manifest.read(folder.path / MANIFEST)
        if before != wanted:
            log.warning("%s: another process made it otherwise meanwhile; run this again", folder.path)
            return
        assert before is not None
        spent = replace(wanted, seconds=before.seconds + progress.seconds, frames=before.frames + progress.done)
        spent.write(folder.path / MANIFEST)

    def _missing(self, folder: FrameFolder, share: list[str], wanted: Manifest) -> list[str]:
        folder.refresh()
        if Manifest.read(folder.path / MANIFEST) != wanted:
            return share
        return [stem for stem in share if stem not in folder]

    def _prepare(self, folder: FrameFolder, title: str, stems: Sequence[str], wanted: Manifest) -> None:
        """Remove what was made otherwise, then say what is being made."""
        folder.refresh()
        discard_unfinished(folder.path, [MANIFEST])
        found = Manifest.read(folder.path / MANIFEST)
        if found == wanted:
            return
        if found is not None:
            log.info("%s: made again, for what it depends on changed: %s", title, wanted.difference(found))
        elif len(folder):
            log.warning("%s: made again, for nothing says how the %d frames there were made", title, len(folder))
        (folder.path / MANIFEST).unlink(missing_ok=True)
        for path in folder.files.values():
            path.unlink(missing_ok=True)
        folder.refresh()
        wanted.write(folder.path / MANIFEST)


def identity_of(folder: FrameFolder) -> str:
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
            mend="run `dreaming clip=...` without stages=, which makes what is missing",
        )
    return found.identity
