"""Prediction with a fusion variant, and its scores at frames with ground truth."""

import numpy as np
import torch
from numpy.typing import NDArray

from dreaming.data.mask_stack import MaskStacks
from dreaming.io.types import Image, Mask, Probability
from dreaming.metrics.region import FrameJaccard
from dreaming.models.segmentation import SegmentationModule
from dreaming.training.context import TrainingContext
from dreaming.training.inference import InferenceRunner, prepare_inference


def fuse(module: SegmentationModule, runner: InferenceRunner, image: Image, channels: NDArray[np.uint8]) -> Probability:
    """Fuse the masks of one frame into one probability map (H, W).

    Args:
        module: The trained fusion module.
        runner: Its device and precision.
        image: The frame (H, W, 3).
        channels: The maskers' predictions as ``data.mask_stack.stack_channels`` stacks them.
    """
    with runner.forward_context():
        pixels = torch.from_numpy(np.dstack([image, channels])).to(runner.device)
        return module.predict_probability(pixels.permute(2, 0, 1)[None].float() / 255)[0, 0].float().cpu().numpy()


def jaccards(module: SegmentationModule | None, name: str, stacks: MaskStacks, context: TrainingContext) -> list[float]:
    """Jaccard index of a candidate at each frame.

    Args:
        module: The trained fusion module; None for a masker by itself.
        name: The candidate's name.
        stacks: Frames with ground truth and the maskers' predictions.
        context: Trainer to run the module with.
    """
    truth = stacks.references.masks
    if module is None:
        column = stacks.names.index(name)
        return [
            _jaccard(predicted[column] / 255, mask) for predicted, mask in zip(stacks.predictions, truth, strict=True)
        ]
    runner = prepare_inference(module, context)
    return [
        _jaccard(fuse(module, runner, image, stacks.channels(index)), mask)
        for index, (image, mask) in enumerate(zip(stacks.references.images, truth, strict=True))
    ]


def _jaccard(probability: Probability | NDArray[np.float64], mask: Mask) -> float:
    metric = FrameJaccard()
    metric.update(torch.from_numpy(np.asarray(probability))[None, None], torch.from_numpy(mask)[None, None])
    return float(metric.compute())
