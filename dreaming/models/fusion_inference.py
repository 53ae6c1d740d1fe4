"""One frame mixed by a fitted form, and how good a form is at frames whose truth is known."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dreaming.data.mask_stack import MaskStacks
from dreaming.io.types import Image, Probability
from dreaming.metrics.region import FrameJaccard
from dreaming.models.segmentation import SegmentationModule
from dreaming.training.context import TrainingContext
from dreaming.training.inference import on_device


def mixed(module: SegmentationModule, image: Image, behind: NDArray[np.uint8]) -> Probability:
    """One frame's probability (H, W), mixed on the device that the module is on.

    Args:
        module: The fitted form.
        image: The frame (H, W, 3).
        behind: What the maskers found, as ``data.mask_stack.stack_channels`` stacks it.
    """
    pixels = torch.from_numpy(np.dstack([image, behind])).to(module.device)
    return module.predict_probability(pixels.permute(2, 0, 1)[None].float() / 255)[0, 0].float().cpu().numpy()


def jaccards(module: SegmentationModule | None, name: str, stacks: MaskStacks, context: TrainingContext) -> list[float]:
    """Jaccard index of a candidate at each frame."""
    if module is None:
        column = stacks.names.index(name)
        return [
            _jaccard(found[column] / 255, mask)
            for found, mask in zip(stacks.predictions, stacks.references.masks, strict=True)
        ]
    with on_device(module.eval(), context):
        return [
            _jaccard(mixed(module, image, stacks.channels(place)), mask)
            for place, (image, mask) in enumerate(zip(stacks.references.images, stacks.references.masks, strict=True))
        ]


def _jaccard(probability: Any, mask: Any) -> float:
    metric = FrameJaccard()
    metric.update(torch.from_numpy(np.asarray(probability))[None, None], torch.from_numpy(mask)[None, None])
    return float(metric.compute())
