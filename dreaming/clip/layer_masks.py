"""The masks that cut a layer out of the frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dreaming.artifacts.fingerprint import fingerprint
from dreaming.artifacts.manifest import MANIFEST, Manifest
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.errors import ClipError
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.types import Mask


@dataclass(frozen=True)
class LayerMasks:
    """The masks of one masker, by which layers are cut out.

    Attributes:
        maskers: Names of the selected maskers.
        masker: The masker whose masks are used; None: the last selected one.
    """

    kind: ClassVar[str] = "layer_masks"

    maskers: Sequence[str]
    masker: str | None = None

    def folder(self, clip: Clip, layer: Layer) -> FrameFolder | None:
        """The masks of a layer's part; None for a layer that covers the whole frame."""
        return None if layer.part is None else clip.masks(layer.part, self.masker or self.maskers[-1])

    def fingerprint(self, clip: Clip, layer: Layer, key: str) -> str:
        """Fingerprint of how the layer is cut out.

        Args:
            clip: The clip.
            layer: The layer.
            key: Config key that selects the masker, for error messages.

        Raises:
            ClipError: If masks are missing.
        """
        folder = self.folder(clip, layer)
        if folder is None:
            return "whole"
        made, missing = _made(folder, clip)
        if made is None or missing:
            others = [FrameFolder(path) for path in sorted(folder.path.parent.glob("*/"))]
            complete = [other.path.name for other in others if _made(other, clip)[0] and not _made(other, clip)[1]]
            taken = f"take those of {' or '.join(complete)}" if complete else "name a masker that has them"
            raise ClipError(
                folder.path,
                found=f"no mask of {len(missing) if made else 'any'} of {len(clip.stems)} frames",
                expected="the masks of all frames",
                hint="run stages=[mask] for all of them first, every shard to its end, or "
                f"{taken} with {key}={complete[0] if complete else 'NAME'}",
            )
        return fingerprint(made.fingerprint, layer.invert)

    def reader(self, clip: Clip, layer: Layer) -> Callable[[str], Mask]:
        """Return a function from a frame's name to its mask (H, W), True where the layer is visible."""
        folder = self.folder(clip, layer)
        if folder is None:
            return lambda stem: np.ones(clip.size, bool)
        return lambda stem: folder.read_mask(stem, clip.size) != layer.invert


def _made(folder: FrameFolder, clip: Clip) -> tuple[Manifest | None, list[str]]:
    """Return a folder's manifest and the frames without a mask."""
    return Manifest.read(folder.path / MANIFEST), [stem for stem in clip.stems if stem not in folder]
