"""The base class of all stages."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from dreaming.clip.clip import Clip
from dreaming.errors import ClipError
from dreaming.io.artifact_folder import ArtifactFolder, Maker
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.manifest import MANIFEST, NO_EFFECT, Manifest, describe
from dreaming.io.shard import Shard, Work, undivided

__all__ = ["Maker", "Stage", "fingerprint_of"]


@dataclass
class Stage(ABC):
    """One step from the video to the stylised video. Its fields are its config.

    Attributes:
        shard: The share of the frames that this process makes.
        writers: Threads that encode and write frames.
        run_folder: Folder of this run's own records; None for a new one in the clip.
        frames_needed: Frames of its output folders that it looked at so far.
        frames_made: Frames among them that were missing and that it made.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ()
    reads_its_share: ClassVar[bool] = False
    """Whether this process's share of the inputs is enough for it; otherwise its inputs are made for all frames."""

    shard: Shard = field(default_factory=Shard, kw_only=True, metadata=NO_EFFECT)
    writers: int = field(default=2, kw_only=True, metadata=NO_EFFECT)
    run_folder: Path | None = field(default=None, kw_only=True, metadata=NO_EFFECT)
    frames_needed: int = field(default=0, init=False, repr=False, compare=False)
    frames_made: int = field(default=0, init=False, repr=False, compare=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the stages whose outputs it reads in its present configuration."""
        return self.reads

    @abstractmethod
    def skips(self, clip: Clip) -> str | None:
        """Return in a few words why there is nothing to do for this clip; None if there is something to do."""

    def check(self, clip: Clip) -> None:
        """Raise for files of the user's that it cannot use, before other stages take their time; the frames exist."""
        return

    @abstractmethod
    def run(self, clip: Clip) -> float | None:
        """Read the declared inputs, write the declared outputs, and return the score to maximise, if there is one."""

    def manifest(self, **inputs: str) -> Manifest:
        """Return what a folder made by this stage depends on."""
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
        """Make the missing frames of this shard in a folder, as ``ArtifactFolder.complete`` does.

        Args:
            clip: The clip.
            folder: The folder to fill.
            stems: Names of all its frames.
            manifest: What it depends on; asked again after ``begin``.
            begin: Takes the missing frames, does what is done once for all of them, such as fitting, and returns what
                makes any of them.
            share_out: Runs the work on the missing frames, perhaps a share of them in each of several processes; what
                makes them is pickled for that.
        """
        artifact = ArtifactFolder(folder, clip.path, str(folder.path.relative_to(clip.path)))
        share = self.shard.take(stems)
        made = artifact.complete(
            share, stems, manifest, begin, share=str(self.shard), share_out=share_out, writers=self.writers
        )
        self.frames_needed, self.frames_made = self.frames_needed + len(share), self.frames_made + made


def fingerprint_of(folder: FrameFolder) -> str:
    """Return the fingerprint of a folder that an earlier stage made, for the manifest of what is made from it.

    Raises:
        ClipError: If no stage made it.
    """
    manifest = Manifest.read(folder.path / MANIFEST)
    if manifest is None:
        raise ClipError(
            folder.path,
            found="no finished folder of frames",
            expected="the output of an earlier stage",
            hint="run `dreaming clip=...` without stages=, which makes what is missing",
        )
    return manifest.fingerprint
