"""The region where a layer is visible after masking and feathering, to which its style's training is restricted."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import cv2
import numpy as np

from dreaming.artifacts.manifest import NO_EFFECT
from dreaming.clip.annotations import Keyframes
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.clip.layer_masks import LayerMasks
from dreaming.constraints import Sigma
from dreaming.errors import MaskError
from dreaming.io.types import Mask

SIGMAS = 3
"""Beyond three sigmas of the edge a feathered layer shows with less than half a grey level."""


@dataclass(frozen=True)
class LayerRegion:
    """The mask of a keyframe's frame, grown by what a feathered edge shows and a margin.

    The mask is the hand mask where there is one, else the selected masker's. A style that is trained only there
    spends all its steps on what is visible; elsewhere its frames are undefined.

    Fingerprints depend on the grown masks and not on these fields.

    Attributes:
        masks: Which masks cut the layer out.
        feather: Sigma of the Gaussian that softens the layer's edge, in pixels.
        margin: Pixels beyond what the soft edge shows; None: no region, so that styles are trained on whole keyframes.
    """

    kind: ClassVar[str] = "layer_region"

    masks: LayerMasks = field(metadata=NO_EFFECT)
    feather: Sigma = field(default=2.0, metadata=NO_EFFECT)
    margin: Sigma | None = field(default=None, metadata=NO_EFFECT)

    @property
    def requires_masks(self) -> bool:
        """Whether masks have to be made first."""
        return self.margin is not None

    def restrict(self, clip: Clip, layer: Layer, keyframes: Keyframes) -> Keyframes:
        """Return the keyframes with their masks restricted to the region.

        Raises:
            MaskError: If a keyframe's frame has no mask, or shows nothing of the layer that is painted.
        """
        if self.margin is None or layer.part is None:
            return keyframes
        regions = {stem: self._region(clip, layer, stem, self.margin) for stem in dict.fromkeys(keyframes.stems)}
        masks = keyframes.masks & np.stack([regions[stem] for stem in keyframes.stems])
        for stem, mask in zip(keyframes.stems, masks, strict=True):
            if not mask.any():
                raise MaskError(
                    f"keyframe {stem} of layer {layer.name}",
                    found=f"nothing painted where the mask of {layer.part} shows the layer",
                    expected="a keyframe that shows it",
                    hint="paint a hand mask of that frame, or set model.style.roi.margin=null",
                )
        return replace(keyframes, masks=masks)

    def _region(self, clip: Clip, layer: Layer, stem: str, margin: float) -> Mask:
        mask = self._mask(clip, layer, stem)
        if not mask.any():
            return mask
        away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        region: Mask = away <= SIGMAS * self.feather + margin
        return region

    def _mask(self, clip: Clip, layer: Layer, stem: str) -> Mask:
        assert layer.part is not None
        painted = clip.hand_mask(layer.part, stem)
        if painted is not None:
            return painted != layer.invert
        known = self.masks.masker is not None or len(self.masks.maskers) > 0
        folder = self.masks.folder(clip, layer) if known else None
        if folder is None or stem not in folder:
            raise MaskError(
                f"keyframe {stem} of layer {layer.name}",
                found=f"no mask of {layer.part} in that frame",
                expected="a hand mask, or one in " + ("masks/<masker>/" if folder is None else str(folder.path)),
                hint="paint one, or run stages=[mask] and name the masker with model.style.roi.masks.masker=NAME",
            )
        return self.masks.reader(clip, layer)(stem)
