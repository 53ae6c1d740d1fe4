"""Prediction with a fusion variant, and its scores at frames with ground truth."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dreaming.data.mask_stack import MaskStacks
from dreaming.io.types import Image, Mask, Probability
from dreaming.metrics.region import FrameJaccard
from dreaming.models.segmentation import SegmentationModule
from dreaming.training.context import TrainingContext
from dreaming.training.inference import InferenceRunner, prepare_inference


def fuse(
    module: SegmentationModule, runner: InferenceRunner, stacks: Iterable[tuple[str, Image, NDArray[np.uint8]]]
) -> Iterator[tuple[str, Probability]]:
    """Fuse the masks of each frame into one probability map (H, W).

    Args:
        module: The trained fusion module.
        runner: Its device and precision.
        stacks: Name, frame (H, W, 3) and the maskers' predictions as ``data.mask_stack.stack_channels`` stacks them.
    """

    def compute(pixels: Tensor) -> Tensor:
        """Fuse (H, W, 3 + c) uint8."""
        return module.predict_probability(pixels.permute(2, 0, 1)[None].float() / 255)[0, 0].float()

    return runner.stream(compute, ((stem, [np.dstack([image, channels])]) for stem, image, channels in stacks))


def jaccards(module: SegmentationModule | None, name: str, stacks: MaskStacks, context: TrainingContext) -> list[float]:
    """Jaccard index at each frame of a fusion module, or of the masker ``name`` by itself."""
    truth = stacks.references.masks
    if module is None:
        column = stacks.names.index(name)
        return [
            jaccard(predicted[column] / 255, mask) for predicted, mask in zip(stacks.predictions, truth, strict=True)
        ]
    runner = prepare_inference(module, context)
    references = stacks.references
    inputs = (
        (stem, image, stacks.channels(index))
        for index, (stem, image) in enumerate(zip(references.stems, references.images, strict=True))
    )
    fused = fuse(module, runner, inputs)
    return [jaccard(probability, mask) for (_, probability), mask in zip(fused, truth, strict=True)]


def jaccard(probability: Probability | NDArray[np.float64], mask: Mask) -> float:
    """Jaccard index of a frame's probability (H, W) and its true mask (H, W)."""
    metric = FrameJaccard()
    metric.update(torch.from_numpy(np.asarray(probability))[None, None], torch.from_numpy(mask)[None, None])
    return float(metric.compute())
