"""How opaque a layer is at each pixel: its masks or mattes, cleaned up and feathered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.clip.layer_masks import LayerMasks
from dreaming.constraints import Sigma, UnitFloat
from dreaming.errors import ClipError, ParameterError
from dreaming.imaging.cleanup import Cleanup
from dreaming.imaging.morphology import feather
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.types import Mask, Probability
from dreaming.matting.refinement import MatteMethod

FAINT = 1 / 512
"""Opacity up to which a layer changes no picture of 8 bits."""


@dataclass(frozen=True)
class LayerOpacity:
    """The opacity of layers, in the composite and in all exports.

    Attributes:
        masks: Which masks cut the layers out.
        matte: The method of the mattes that are used in place of masks; ``none``: masks, by ``threshold`` and
            ``feather``.
        threshold: Probability above which a pixel belongs to the part, before the clean-up; None keeps masks soft.
        cleanup: Steps that change the masks of all parts, as ``imaging/cleanup`` reads them; None for those of each
            part in ``clip.yaml``.
        feather: Standard deviation of the Gaussian that softens the edge of a mask, in pixels.
    """

    kind: ClassVar[str] = "layer_opacity"

    masks: LayerMasks = field(metadata=NO_EFFECT)
    matte: MatteMethod = field(default="none", metadata=NO_EFFECT)
    threshold: UnitFloat | None = 0.5
    cleanup: Sequence[Mapping[str, float | Sequence[float]]] | None = None
    feather: Sigma = 2.0

    def folder(self, clip: Clip, layer: Layer) -> FrameFolder | None:
        """The masks or mattes of a layer's part; None for a layer that covers the whole frame."""
        masks = self.masks.folder(clip, layer)
        if masks is None or self.matte == "none":
            return masks
        assert layer.part is not None
        return clip.mattes(layer.part, masks.path.name)

    def steps(self, clip: Clip, part: str | None) -> Cleanup:
        """The clean-up of a part.

        Raises:
            ClipError: If a step in ``clip.yaml`` is not valid.
            ParameterError: If a step in ``cleanup`` is not valid.
        """
        if self.cleanup is not None or part is None:
            return Cleanup.parse("cleanup", self.cleanup or ())
        try:
            return Cleanup.parse(f"cleanup: {part}", clip.settings.cleanup.get(part, ()))
        except ParameterError as error:
            found = f"{error.name}: {error.found}"
            raise ClipError(clip.path / "clip.yaml", found=found, expected=error.expected) from None

    def read(self, clip: Clip, layer: Layer, folder: FrameFolder | None, stem: str) -> Probability:
        """Opacity (H, W) in 0..1 of a frame, from a folder of masks or mattes; None for a layer of the whole frame."""
        if folder is None:
            return np.ones(clip.size, np.float32)
        if self.matte != "none":
            return self._cleaned(clip, layer, folder.read_matte(stem, clip.size))
        mask = folder.read_probability(stem, clip.size)
        return self._feathered(clip, layer, mask if self.threshold is None else mask > self.threshold)

    def of_hand_mask(self, clip: Clip, layer: Layer, mask: Mask) -> Probability:
        """Opacity (H, W) in 0..1 of a frame, from a hand mask (H, W) of the part; feathered, as it has no matte."""
        return self._feathered(clip, layer, mask)

    def _feathered(self, clip: Clip, layer: Layer, mask: Mask | Probability) -> Probability:
        return feather(self._cleaned(clip, layer, mask.astype(np.float32)), self.feather)

    def _cleaned(self, clip: Clip, layer: Layer, mask: Probability) -> Probability:
        cleaned = self.steps(clip, layer.part)(mask)
        return 1 - cleaned if layer.invert else cleaned
