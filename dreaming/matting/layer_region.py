"""The region where a layer is visible in the composite, to which its style's training is restricted."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import cv2
import numpy as np

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.clip.annotations import Keyframes
from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.constraints import Sigma
from dreaming.errors import MaskError
from dreaming.io.types import Mask
from dreaming.matting.layer_opacity import FAINT, LayerOpacity


@dataclass(frozen=True)
class LayerRegion:
    """Where a layer is visible in a keyframe's frame, and a margin around it.

    Visible is what the composite shows there, after matting, clean-up and feathering, and what it would show by the
    hand mask, if there is one. A style that is trained only there spends all its steps on what is visible; elsewhere
    its frames are undefined.

    Fingerprints depend on the resulting masks and not on these fields.

    Attributes:
        opacity: How layers are cut out.
        margin: Pixels beyond the soft edge; None: no region, so that styles are trained on whole keyframes.
    """

    kind: ClassVar[str] = "layer_region"

    opacity: LayerOpacity = field(metadata=NO_EFFECT)
    margin: Sigma | None = field(default=None, metadata=NO_EFFECT)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The stages that have to make masks or mattes first."""
        if self.margin is None:
            return ()
        return ("mask",) if self.opacity.matte == "none" else ("mask", "matte")

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
        mask = self._visible(clip, layer, stem)
        if not mask.any():
            return mask
        away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        region: Mask = away <= margin
        return region

    def _visible(self, clip: Clip, layer: Layer, stem: str) -> Mask:
        assert layer.part is not None
        masks = self.opacity.masks
        known = masks.masker is not None or len(masks.maskers) > 0
        folder = self.opacity.folder(clip, layer) if known else None
        found = []
        painted = clip.hand_mask(layer.part, stem)
        if painted is not None:
            found.append(self.opacity.of_hand_mask(clip, layer, painted))
        if folder is not None and stem in folder:
            found.append(self.opacity.read(clip, layer, folder, stem))
        if not found:
            where = "masks/<masker>/" if folder is None else str(folder.path)
            raise MaskError(
                f"keyframe {stem} of layer {layer.name}",
                found=f"no mask of {layer.part} in that frame",
                expected=f"a hand mask, or one in {where}",
                hint=f"paint one, or run stages=[{self.inputs[-1]}] and name the masker with "
                "model.style.roi.opacity.masks.masker=NAME",
            )
        visible: Mask = np.maximum.reduce(found) > FAINT
        return visible
