"""Earlier frames of a folder of results, so that undoing a change of its inputs computes nothing again."""

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.io.atomic import refuse_links
from dreaming.io.frame_folder import FrameFolder, is_signed

FOLDER = ".previous"
"""Folder of a clip that holds the histories; it may be deleted."""

KEPT = 8
"""Earlier manifests of a folder whose frames are kept."""


@dataclass(frozen=True)
class ArtifactHistory:
    """The frames of earlier manifests, as hard links; a file system without these keeps none.

    Attributes:
        frames: The folder of results.
        root: The clip's folder.
    """

    frames: FrameFolder
    root: Path

    @property
    def path(self) -> Path:
        """The folder that holds one folder for each earlier manifest."""
        return self.root / FOLDER / self.frames.path.relative_to(self.root)

    def holds(self, made: Manifest) -> bool:
        """Whether there are frames of this manifest."""
        return Manifest.read(self._folder(made).path / MANIFEST) == made

    def keep(self, made: Manifest) -> None:
        """Keep the frames of a manifest that is about to be replaced; forget the oldest ones."""
        refuse_links(self.root / FOLDER, self.path)
        earlier = self._folder(made)
        made.write(earlier.path / MANIFEST)
        _link(self.frames, earlier, made.stems)
        entries = [(path, Manifest.read(path)) for path in self.path.glob(f"*/{MANIFEST}")]
        entries.sort(key=lambda entry: entry[0].stat().st_mtime_ns, reverse=True)
        for path, old in entries[KEPT:]:
            if old is not None:
                remove_frames(FrameFolder(path.parent), old)
                path.unlink()
                with suppress(OSError):  # something else is in there
                    path.parent.rmdir()

    def restore(self, made: Manifest) -> Manifest:
        """Bring back those frames of a manifest that are missing, and return it with the times of the earlier run."""
        if not self.holds(made):
            return made
        earlier = self._folder(made)
        found = Manifest.read(earlier.path / MANIFEST)
        assert found is not None
        _link(earlier, self.frames, found.stems)
        self.frames.refresh()
        return found

    def _folder(self, made: Manifest) -> FrameFolder:
        return FrameFolder(self.path / made.fingerprint[:16])


def _link(source: FrameFolder, target: FrameFolder, stems: Iterable[str]) -> None:
    for stem in _plain(stems):
        for one, other in zip(source.outputs(stem), target.outputs(stem), strict=True):
            if is_signed(one):
                other.parent.mkdir(parents=True, exist_ok=True)
                with suppress(OSError):
                    os.link(one, other)


def remove_frames(frames: FrameFolder, made: Manifest, kept: Collection[str] = ()) -> None:
    """Remove the frames that a manifest names, except those to keep and files that dreaming did not write."""
    kept = set(kept)
    for stem in _plain(made.stems):
        for path in () if stem in kept else frames.outputs(stem):
            if is_signed(path):
                path.unlink(missing_ok=True)
    frames.refresh()


def _plain(stems: Iterable[object]) -> list[str]:
    """Those stems that are no path, which may lead to another folder."""
    return [stem for stem in stems if isinstance(stem, str) and Path(stem).name == stem]
