"""Guides on disk, as images of three channels each, and the selection of guides by name or folder."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

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
"""Channels of one image."""


class GuideFolder(FrameFolder):
    """One guide of one layer: ``1/0001.png`` holds a frame's first three channels, ``2/0001.png`` the next, and so on.

    A frame is listed once its last image exists, which is written last. The folder need not exist yet.
    """

    def __init__(self, path: Path, channels: int) -> None:
        super().__init__(path)
        self.channels = channels
        self.image_folders = [FrameFolder(path / str(number + 1)) for number in range(math.ceil(channels / DEPTH))]

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The last image of each frame within the folder, in order."""
        last = self.image_folders[-1]
        return {stem: f"{last.path.name}/{name}" for stem, name in last.names.items()}

    def refresh(self) -> None:
        """Discard the cached listing, after another process added files."""
        super().refresh()
        for folder in self.image_folders:
            folder.refresh()

    def outputs(self, stem: str) -> list[Path]:
        """Paths of all pictures of one frame."""
        return [path for folder in self.image_folders for path in folder.outputs(stem)]

    def write(self, stem: str, image: NDArray[Any]) -> Path:
        """Write a frame's channels (H, W, C): a single last one as a grey image, two with an empty blue channel."""
        assert image.shape[2] == self.channels
        for number, folder in enumerate(self.image_folders):
            picture = image[..., number * DEPTH : (number + 1) * DEPTH]
            if picture.shape[2] == 2:
                picture = np.dstack([picture, np.zeros_like(picture[..., 0])])
            path = folder.write(stem, picture[..., 0] if picture.shape[2] == 1 else np.ascontiguousarray(picture))
        return path

    def read(self, stem: str, size: Size | None = None) -> Channels:
        """Read a frame's channels, (H, W, C) uint8.

        Raises:
            FrameError: If an image is missing or unreadable.
            SizeError: If one is not of ``size``.
        """
        return np.dstack([folder.read(stem, size) for folder in self.image_folders])[..., : self.channels]


class GuideStack:
    """All guides of one layer, read together; there may be none."""

    def __init__(self, clip: Clip, layer: Layer, guides: Mapping[str, Guide]) -> None:
        self._size = clip.size
        self.folders = [GuideFolder(clip.guides(layer) / name, guide.channels) for name, guide in guides.items()]

    @property
    def channels(self) -> int:
        """Number of channels of all guides."""
        return sum(folder.channels for folder in self.folders)

    def read(self, stem: str) -> Channels:
        """Read all channels of one frame, (H, W, C) uint8, guide after guide."""
        empty = np.empty((*self._size, 0), np.uint8)
        return np.concatenate([empty, *(folder.read(stem, self._size) for folder in self.folders)], axis=2)


def select_guides(available: Mapping[str, Guide], chosen: Sequence[str]) -> dict[str, Guide]:
    """Select guides of the config by name, or folders of custom guides, each named by its last component.

    Raises:
        ConfigError: If one is neither a name nor a folder, or if two have the same name.
    """
    guides: dict[str, Guide] = {}
    for choice in chosen:
        path = Path(choice)
        if choice not in available and not path.is_dir():
            raise ConfigError(
                "stage.guide.guides",
                found=f"{choice}, which is not a folder",
                expected="guides among " + ", ".join(available) + ", or folders of images named like the frames",
            )
        name = choice if choice in available else path.resolve().name
        if name in guides:
            raise ConfigError("stage.guide.guides", found=f"two guides named {name}", expected="different names")
        guides[name] = available[choice] if choice in available else CustomGuide(path)
    return guides
