"""Which masks cut a layer out of the frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dreaming.errors import ClipError
from dreaming.frames.arrays import Mask
from dreaming.frames.clip import MANIFEST, Clip
from dreaming.frames.clip_settings import Layer
from dreaming.frames.folder import FrameFolder
from dreaming.frames.manifest import Manifest, fingerprint


@dataclass(frozen=True)
class LayerMasks:
    """The masks of one masker, by which layers are cut out.

    Attributes:
        maskers: Names of the selected maskers.
        masker: Whose masks are taken; None for the last selected one.
    """

    maskers: Sequence[str]
    masker: str | None = None

    def folder(self, clip: Clip, layer: Layer) -> FrameFolder | None:
        """The masks of a layer's part; None for a layer that covers the whole frame."""
        return None if layer.part is None else clip.masks(layer.part, self.masker or self.maskers[-1])

    def identity(self, clip: Clip, layer: Layer) -> str:
        """Fingerprint of how the layer is cut out.

        Raises:
            ClipError: If masks are missing.
        """
        folder = self.folder(clip, layer)
        if folder is None:
            return "whole"
        made = Manifest.read(folder.path / MANIFEST)
        missing = [stem for stem in clip.stems if stem not in folder]
        if made is None or missing:
            raise ClipError(
                folder.path,
                found=f"no mask of {len(missing) if made else 'any'} of {len(clip.stems)} frames",
                expected="the masks of all frames",
                mend="run stages=[mask] for all of them first, every shard to its end",
            )
        return fingerprint(made.identity, layer.invert)

    def reader(self, clip: Clip, layer: Layer) -> Callable[[str], Mask]:
        """What gives a named frame's mask, (H, W), True where the layer shows."""
        folder = self.folder(clip, layer)
        if folder is None:
            return lambda stem: np.ones(clip.size, bool)
        return lambda stem: folder.read_mask(stem, clip.size) != layer.invert
