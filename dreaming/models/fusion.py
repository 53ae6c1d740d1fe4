"""LightningModule of the ensemble's fusion, a segmentation network with a stack of masks as a further input."""

from typing import ClassVar, cast

import torch
from torch import Tensor

from dreaming.data.base import MaskSample
from dreaming.models.segmentation import SegmentationModule, Split


class FusionModule(SegmentationModule):
    """Learns to weight maskers pixel by pixel; batches have a ``stack`` (B, 2 M + 1, H, W) beside the image."""

    kind: ClassVar[str] = "fusion_module"

    def _step(self, batch: MaskSample, split: Split) -> Tensor:
        stack = cast(dict[str, Tensor], batch)["stack"]
        joined: MaskSample = {**batch, "image": torch.cat([batch["image"], stack], dim=1)}
        return super()._step(joined, split)
