"""A guide of the user's own: a folder of pictures, named like the frames."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dreaming.errors import FrameError
from dreaming.frames.clip import Clip
from dreaming.frames.clip_settings import Layer
from dreaming.frames.folder import FrameFolder
from dreaming.frames.guide import Channels, Guide
from dreaming.frames.manifest import NO_EFFECT, fingerprint_files


@dataclass(frozen=True)
class FolderGuide(Guide):
    """Pictures drawn by the user or by another program, such as segments, depth or a pose.

    Attributes:
        path: Their folder.
    """

    path: Path = field(metadata=NO_EFFECT)

    @property
    def channels(self) -> int:
        """Red, green and blue."""
        return 3

    def inputs(self, clip: Clip, layer: Layer) -> dict[str, str]:
        """The pictures.

        Raises:
            FrameError: If a frame has none.
        """
        pictures = FrameFolder(self.path)
        missing = [stem for stem in clip.stems if stem not in pictures]
        if missing:
            raise FrameError(
                self.path,
                found=f"no picture for {len(missing)} of {len(clip.stems)} frames, first {missing[0]}",
                expected="one for each frame, named like it",
                mend="add them, or leave the guide out",
            )
        return {"pictures": fingerprint_files(pictures.files[stem] for stem in clip.stems)}

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's picture, (H, W, 3), in order."""
        yield from FrameFolder(self.path).read_ahead(stems, size=clip.size)
