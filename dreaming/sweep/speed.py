"""What a frame takes a network, as the second objective of a sweep."""

import time

import torch

from dreaming.frames.clip import Clip
from dreaming.frames.statistics import NEUTRAL
from dreaming.models.base import SegmentationModule
from dreaming.models.fit import Recipe, Workbench
from dreaming.models.inference import on_device
from dreaming.models.segmentation_recipe import SegmentationRecipe
from dreaming.models.style import StyleModule

REPEATS = 3


def seconds_a_frame(recipe: Recipe, clip: Clip, workbench: Workbench) -> float:
    """Seconds that the recipe's network takes for one of the clip's frames, decoding aside: the fastest of three.

    The weights do not matter, and are random.
    """
    segments = isinstance(recipe, SegmentationRecipe)
    channels = 3 if segments else clip.keyframes(clip.layers[0]).sources.shape[-1]
    module = recipe.module(statistics=NEUTRAL) if segments else recipe.module(channels=channels)
    height, width = clip.size
    frame = torch.rand(1, channels, height, width)
    with on_device(module, workbench) as device:
        assert isinstance(module, SegmentationModule | StyleModule)
        run = module.predict_probability if isinstance(module, SegmentationModule) else module.stylise
        run(frame.to(device))
        return min(_once(run, frame, device) for _ in range(REPEATS))


def _once(run: object, frame: torch.Tensor, device: torch.device) -> float:
    start = time.perf_counter()
    run(frame.to(device)).cpu()  # type: ignore[operator]
    return time.perf_counter() - start
