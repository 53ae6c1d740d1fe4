"""What a frame takes a network or a masker, as the second objective of a sweep."""

import time
from collections.abc import Callable
from statistics import fmean

import torch

from dreaming.frames.clip import Clip
from dreaming.frames.runs import runs_between
from dreaming.frames.statistics import NEUTRAL
from dreaming.maskers.base import Masker
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


def masker_seconds_a_frame(masker: Masker, clip: Clip) -> float:
    """Seconds that a masker takes for a frame once it is fitted, decoding included: the fastest of three.

    It is fitted on all hand masks and predicts the shortest run of frames between two of them, as a whole, for a masker
    may have to look at all of it. What it keeps in the clip, such as flow, is made the first time and does not count.

    Returns:
        The mean over the clip's parts.
    """
    return fmean(_of_part(masker, clip, part) for part in clip.parts)


def _of_part(masker: Masker, clip: Clip, part: str) -> float:
    references = clip.references(part, clip.split(part).nn)
    inner = [run.stems for run in runs_between(clip.stems, references.stems) if run.left and run.right]
    stems = min(inner, key=len, default=tuple(clip.stems))
    fitted, times = masker.fit(clip, references), []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _frame in fitted.predict(clip, stems):
            pass
        times.append(time.perf_counter() - start)
    return min(times) / len(stems)


def _once(run: Callable[[torch.Tensor], torch.Tensor], frame: torch.Tensor, device: torch.device) -> float:
    start = time.perf_counter()
    run(frame.to(device)).cpu()
    return time.perf_counter() - start
