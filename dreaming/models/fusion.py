"""The ensemble's mixer as a LightningModule: a segmenter that sees a stack of masks beside the frame."""

from typing import ClassVar, cast

import torch
from torch import Tensor

from dreaming.data.base import MaskSample
from dreaming.models.segmentation import SegmentationModule, Stage


class FusionModule(SegmentationModule):
    """Learns how far to trust each masker where; takes batches with a ``stack`` (B, 2 M + 1, H, W) beside the image."""

    kind: ClassVar[str] = "fusion_module"

    def _step(self, batch: MaskSample, stage: Stage) -> Tensor:
        return super()._step(self._joined(batch), stage)

    def _joined(self, batch: MaskSample) -> MaskSample:
        """The batch with the stack's channels behind the frame's."""
        stack = cast(dict[str, Tensor], batch)["stack"]
        return {**batch, "image": torch.cat([batch["image"], stack], dim=1)}
