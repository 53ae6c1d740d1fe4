"""The user's keyframes of one layer on disk."""

from dataclasses import dataclass

import numpy as np

from dreaming.clip.annotations import Keyframes
from dreaming.errors import KeyframeError
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.image import decode_opacity
from dreaming.io.types import Mask, Size


@dataclass(frozen=True)
class KeyframeFolder:
    """Stylised frames and their painted area, given by masks or by transparency.

    Attributes:
        painted: The stylised frames, named like their frame.
        masks: Masks of the painted area; a keyframe without one is painted wherever it is opaque.
    """

    painted: FrameFolder
    masks: FrameFolder

    def read(self, frames: FrameFolder, sources: FrameFolder, size: Size) -> Keyframes:
        """Read all of them into memory.

        Args:
            frames: The clip's frames.
            sources: Folder to read the frames from that they are painted on.
            size: (height, width) of all pictures in pixels.

        Raises:
            KeyframeError: If a keyframe has no frame of its name, it is not painted anywhere, or there are none.
            SizeError: If a keyframe has another size than its frame.
        """
        self._check(frames, size)
        stems = self.painted.stems
        return Keyframes(
            tuple(stems),
            sources=np.stack([sources.read(stem, size) for stem in stems]),
            styled=np.stack([self.painted.read(stem, size) for stem in stems]),
            masks=np.stack([self.mask(stem, size) for stem in stems]),
        )

    def check(self, frames: FrameFolder, size: Size) -> None:
        """Raise what ``read`` would raise, with one picture in memory at a time.

        Args:
            frames: The clip's frames.
            size: (height, width) of all pictures in pixels.

        Raises:
            KeyframeError: If a keyframe has no frame of its name, it is not painted anywhere, or there are none.
            SizeError: If a keyframe has another size than its frame.
        """
        self._check(frames, size)
        for stem in self.painted.stems:
            self.painted.read(stem, size)
            self.mask(stem, size)

    def mask(self, stem: str, size: Size) -> Mask:
        """Where a keyframe of this size is painted, (H, W): white in its mask, if it has one, and opaque itself.

        Raises:
            KeyframeError: If that is nowhere.
        """
        mask = self.masks.read_painted_mask(stem, size) if stem in self.masks else np.ones(size, bool)
        opacity = decode_opacity(self.painted.files[stem])
        if opacity is not None:
            mask &= opacity > 0.5
        if not mask.any():
            raise KeyframeError(
                self.painted.files[stem],
                topic="a-transparent-keyframe",
                found="a picture that is transparent "
                + ("where its mask is white" if stem in self.masks else "all over"),
                expected="opaque paint on transparency, or on the whole frame",
                hint="paint it again or remove it",
            )
        return mask

    def _check(self, frames: FrameFolder, size: Size) -> None:
        if not len(self.painted):
            raise KeyframeError(
                self.painted.path,
                topic="a-keyframe-without-its-frame",
                found="no pictures",
                expected="at least one stylised frame, named like its frame",
                hint="put one there or remove the folder",
            )
        for stem, path in [*self.painted.files.items(), *self.masks.files.items()]:
            if stem not in frames or (path.parent == self.masks.path and stem not in self.painted):
                raise KeyframeError(
                    path,
                    topic="a-keyframe-without-its-frame",
                    found=f"no {'keyframe' if stem in frames else 'frame'} named {stem}",
                    expected="a picture named like the frame it belongs to",
                    hint="rename it or add the other",
                )
        for stem in self.masks.stems:
            if not self.masks.read_painted_mask(stem, size).any():
                raise KeyframeError(
                    self.masks.files[stem],
                    found="a mask without any foreground",
                    expected="white where the keyframe is painted",
                    hint="paint it again, or remove it to train on the whole keyframe",
                )
