"""Guides on disk: pictures that anyone can look at, of three channels each, and the choice of guides for a style."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.errors import ConfigError
from dreaming.guides.base import Channels, Guide
from dreaming.guides.custom import CustomGuide
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.types import Size

DEPTH = 3
"""Channels of one picture."""


class GuideFolder(FrameFolder):
    """One guide of one layer: ``1/0001.png`` holds a frame's first three channels, ``2/0001.png`` the next, and so on.

    A frame is listed once its last picture is there, which is written last.

    Args:
        path: The folder; it need not exist yet.
        channels: Of the guide.
    """

    def __init__(self, path: Path, channels: int) -> None:
        super().__init__(path)
        self.channels = channels
        self.pictures = [FrameFolder(path / str(place + 1)) for place in range(math.ceil(channels / DEPTH))]

    @property
    def files(self) -> Mapping[str, Path]:
        """The last picture of each frame, in order."""
        return self.pictures[-1].files

    def refresh(self) -> None:
        """Forget the listing, after files were added by someone else."""
        for folder in self.pictures:
            folder.refresh()

    def outputs(self, stem: str) -> list[Path]:
        """Paths of all pictures of one frame."""
        return [path for folder in self.pictures for path in folder.outputs(stem)]

    def write(self, stem: str, image: NDArray[np.uint8]) -> Path:
        """Write a frame's channels (H, W, C); a lone last one as a grey picture, two with an empty blue."""
        assert image.shape[2] == self.channels
        for place, folder in enumerate(self.pictures):
            picture = image[..., place * DEPTH : (place + 1) * DEPTH]
            if picture.shape[2] == 2:
                picture = np.dstack([picture, np.zeros_like(picture[..., 0])])
            path = folder.write(stem, picture[..., 0] if picture.shape[2] == 1 else np.ascontiguousarray(picture))
        return path

    def read(self, stem: str, size: Size | None = None) -> Channels:
        """A frame's channels, (H, W, C) uint8.

        Raises:
            FrameError: If a picture is absent or unreadable.
            SizeError: If one is not of ``size``.
        """
        return np.dstack([folder.read(stem, size) for folder in self.pictures])[..., : self.channels]


class GuideStack:
    """Several guides of one layer, read as one.

    Args:
        clip: The clip.
        layer: Whose guides.
        guides: The guides by name; none is fine.
    """

    def __init__(self, clip: Clip, layer: Layer, guides: Mapping[str, Guide]) -> None:
        self._size = clip.size
        self.folders = [GuideFolder(clip.guides(layer) / name, guide.channels) for name, guide in guides.items()]

    @property
    def channels(self) -> int:
        """Of all guides together."""
        return sum(folder.channels for folder in self.folders)

    def read(self, stem: str) -> Channels:
        """All channels of one frame, (H, W, C) uint8, guide after guide."""
        nothing = np.empty((*self._size, 0), np.uint8)
        return np.concatenate([nothing, *(folder.read(stem, self._size) for folder in self.folders)], axis=2)


def select_guides(available: Mapping[str, Guide], chosen: Sequence[str]) -> dict[str, Guide]:
    """The chosen guides by name, in order.

    Args:
        available: The guides that the config knows, by name.
        chosen: Names of some of them, and folders of pictures of the user's own, each known by its last name.

    Raises:
        ConfigError: If one is neither known nor a folder, or if two have one name.
    """
    guides: dict[str, Guide] = {}
    for choice in chosen:
        path = Path(choice)
        if choice not in available and not path.is_dir():
            raise ConfigError(
                "stage.guide.guides",
                found=f"{choice}, which is no folder",
                expected="guides among " + ", ".join(available) + ", or folders of pictures named like the frames",
                hint="correct the name",
            )
        name = choice if choice in available else path.resolve().name
        if name in guides:
            raise ConfigError(
                "stage.guide.guides", found=f"two guides {name}", expected="each once", hint="rename or remove one"
            )
        guides[name] = available[choice] if choice in available else CustomGuide(path)
    return guides
