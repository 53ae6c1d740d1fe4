"""The custom guide: a folder with one image per frame, made by the user or by another program."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from dreaming.artifacts.fingerprint import NO_EFFECT, fingerprint_files
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.errors import FrameError
from dreaming.guides.base import Channels, Guide
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.picture_check import check_pictures


@dataclass(frozen=True)
class CustomGuide(Guide):
    """Images such as segments, depth or a pose.

    Attributes:
        path: Folder with an image per frame, named like the frame.
    """

    kind: ClassVar[str] = "custom_guide"
    channels: ClassVar[int] = 3

    path: Path = field(metadata=NO_EFFECT)

    def check(self, clip: Clip) -> None:
        """Check that there is an image for each frame.

        Raises:
            FrameError: If a frame has no image, or one cannot be read.
            SizeError: If an image is not of the frames' size.
        """
        images = FrameFolder(self.path)
        missing = [stem for stem in clip.stems if stem not in images]
        if missing:
            raise FrameError(
                self.path,
                found=f"no image for {len(missing)} of {len(clip.stems)} frames, the first {missing[0]}",
                expected="one image per frame, named like it",
                hint="add them, or leave the guide out",
            )
        check_pictures(images, clip.size)

    def inputs(self, clip: Clip, layer: Layer) -> dict[str, str]:
        """The images' fingerprint.

        Raises:
            FrameError: If a frame has no image.
        """
        self.check(clip)
        images = FrameFolder(self.path)
        return {"pictures": fingerprint_files(images.files[stem] for stem in clip.stems)}

    def draw(self, clip: Clip, layer: Layer, stems: Iterable[str]) -> Iterator[tuple[str, Channels]]:
        """Yield each named frame's image, (H, W, 3), in order."""
        yield from FrameFolder(self.path).read_ahead(stems, size=clip.size)
