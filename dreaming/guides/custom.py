"""A guide of the user's own: a folder of pictures, named like the frames."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.errors import FrameError
from dreaming.guides.base import Channels, Guide
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.manifest import NO_EFFECT, fingerprint_files


@dataclass(frozen=True)
class CustomGuide(Guide):
    """Pictures drawn by the user or by another program, such as segments, depth or a pose.

    Attributes:
        path: Their folder.
    """

    kind: ClassVar[str] = "custom_guide"

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
                hint="add them, or leave the guide out",
            )
        return {"pictures": fingerprint_files(pictures.files[stem] for stem in clip.stems)}

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's picture, (H, W, 3), in order."""
        yield from FrameFolder(self.path).read_ahead(stems, size=clip.size)
