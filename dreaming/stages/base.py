"""The base class of all stages."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from dreaming.artifacts.fingerprint import NO_EFFECT, describe
from dreaming.artifacts.folder import ArtifactFolder, Maker
from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.artifacts.shard import Shard, Work, undivided
from dreaming.clip.clip import Clip
from dreaming.errors import ClipError
from dreaming.io.frame_folder import FrameFolder


@dataclass
class Stage(ABC):
    """One step from the video to the stylised video. Its fields are its config.

    Attributes:
        shard: The share of the frames that this process makes.
        writers: Threads that encode and write frames.
        run_folder: Folder of this run's own records; None for a new one in the clip.
        frames_needed: Number of frames of its output folders that were requested so far.
        frames_made: Number of those frames that were missing and that it made.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    version: ClassVar[int] = 1
    needs: ClassVar[Literal["hand masks", "keyframes"] | None] = None
    """What a clip must have; others are skipped."""
    reads: ClassVar[tuple[str, ...]] = ("extract",)
    opens: ClassVar[tuple[str, ...]] = ()
    """Files of the clip that the last line of a run names, to be opened by a person."""
    reads_its_share: ClassVar[bool] = False
    """Whether the stage only needs this process's share of its inputs; otherwise they are made for all frames."""

    shard: Shard = field(default_factory=Shard, kw_only=True, metadata=NO_EFFECT)
    writers: int = field(default=2, kw_only=True, metadata=NO_EFFECT)
    run_folder: Path | None = field(default=None, kw_only=True, metadata=NO_EFFECT)
    frames_needed: int = field(default=0, init=False, repr=False, compare=False)
    frames_made: int = field(default=0, init=False, repr=False, compare=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the stages whose outputs it reads with the current config."""
        return self.reads

    def __init_subclass__(cls) -> None:
        cls.kind = f"{cls.name}_stage"

    def skips(self, clip: Clip) -> str | None:
        """Return a short reason to skip this clip; None: run."""
        if self.needs is None or (clip.parts if self.needs == "hand masks" else clip.layers):
            return None
        return f"the clip has no {self.needs}"

    def check(self, clip: Clip) -> None:
        """Check the user's files before other stages spend time; called once the frames exist."""
        return

    @abstractmethod
    def run(self, clip: Clip) -> float | None:
        """Run the stage; return the score to maximise, if there is one."""

    def manifest(self, **inputs: str) -> Manifest:
        """Return the manifest of a folder that this stage makes from these inputs."""
        return Manifest(self.name, self.version, describe(self), inputs, keys={"": f"stage.{self.name}"})

    def complete(
        self,
        clip: Clip,
        folder: FrameFolder,
        stems: Sequence[str],
        manifest: Callable[[], Manifest],
        begin: Callable[[list[str]], Maker],
        share_out: Callable[[list[str], Work], None] = undivided,
        unchanged: Callable[[Manifest, Manifest], Collection[str]] | None = None,
    ) -> None:
        """Make the missing frames of this shard in a folder, as ``ArtifactFolder.complete`` does.

        Args:
            clip: The clip.
            folder: The folder to fill.
            stems: Names of all its frames.
            manifest: Returns the folder's manifest; called again after ``begin``.
            begin: Called once with the missing frames, for example to fit a model; returns the function to make them.
            share_out: Runs the work on the missing frames, perhaps in several processes, to which it is pickled.
            unchanged: Returns the frames that are equal under two manifests; None: none, and keep no earlier frames.
        """
        artifact = ArtifactFolder(folder, clip.path, str(folder.path.relative_to(clip.path)), unchanged is not None)
        share = self.shard.take(stems)
        made = artifact.complete(
            share,
            stems,
            manifest,
            begin,
            share=str(self.shard),
            share_out=share_out,
            writers=self.writers,
            unchanged=unchanged or (lambda before, wanted: ()),
        )
        self.frames_needed, self.frames_made = self.frames_needed + len(share), self.frames_made + made


def fingerprint_of(folder: FrameFolder) -> str:
    """Return the fingerprint of an earlier stage's folder, for the manifests of results that depend on it.

    Raises:
        ClipError: If no stage made the folder.
    """
    manifest = Manifest.read(folder.path / MANIFEST)
    if manifest is None:
        raise ClipError(
            folder.path,
            found="no finished folder of frames",
            expected="the output of an earlier stage",
            hint="run `dreaming clip=...` without stages= to make everything that is missing",
        )
    return manifest.fingerprint
