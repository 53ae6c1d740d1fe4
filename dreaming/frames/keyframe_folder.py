"""A layer's keyframes, read from where a person put them."""

from dataclasses import dataclass

import numpy as np

from dreaming.errors import KeyframeError
from dreaming.frames.arrays import Size
from dreaming.frames.folder import FrameFolder
from dreaming.frames.references import Keyframes


@dataclass(frozen=True)
class KeyframeFolder:
    """Stylised frames, and where the user says that they are painted.

    Attributes:
        painted: The stylised frames, named like their frame.
        masks: Where some of them are painted; a frame without one is painted all over.
    """

    painted: FrameFolder
    masks: FrameFolder

    def read(self, frames: FrameFolder, sources: FrameFolder, size: Size) -> Keyframes:
        """All of them in memory.

        Args:
            frames: The clip's frames.
            sources: Where the frames they are painted on are taken from.
            size: (height, width) of all pictures in pixels.

        Raises:
            KeyframeError: If a keyframe has no frame of its name, its mask is empty, or there are none.
            SizeError: If a keyframe has another size than its frame.
        """
        self._check(frames, size)
        stems, whole = self.painted.stems, np.ones(size, bool)
        masks = [self.masks.read_mask(stem, size) if stem in self.masks else whole for stem in stems]
        return Keyframes(
            tuple(stems),
            sources=np.stack([sources.read(stem, size) for stem in stems]),
            styled=np.stack([self.painted.read(stem, size) for stem in stems]),
            masks=np.stack(masks),
        )

    def _check(self, frames: FrameFolder, size: Size) -> None:
        if not len(self.painted):
            raise KeyframeError(
                self.painted.path,
                found="no pictures",
                expected="at least one stylised frame, named like its frame",
                mend="put one there or remove the folder",
            )
        for stem, path in [*self.painted.files.items(), *self.masks.files.items()]:
            if stem not in frames or (path.parent == self.masks.path and stem not in self.painted):
                raise KeyframeError(
                    path,
                    found=f"no {'keyframe' if stem in frames else 'frame'} named {stem}",
                    expected="a picture named like the frame it belongs to",
                    mend="rename it or add the other",
                )
        for stem in self.masks.stems:
            if not self.masks.read_mask(stem, size).any():
                raise KeyframeError(
                    self.masks.files[stem],
                    found="a mask without any foreground",
                    expected="white where the keyframe is painted",
                    mend="paint it again, or remove it to learn from the whole keyframe",
                )
