"""What a frame takes a network or a masker, as the second objective of a sweep."""

import time
from collections.abc import Callable
from statistics import fmean

import torch

from dreaming.data.evidence import forget
from dreaming.frames.clip import Clip
from dreaming.frames.guided import channel_count
from dreaming.frames.runs import runs_between
from dreaming.maskers.base import Masker
from dreaming.maskers.network import UntrainedMasker
from dreaming.models.fit import Recipe, Workbench
from dreaming.models.inference import on_device
from dreaming.models.segmentation_recipe import SegmentationRecipe
from dreaming.models.style import StyleModule
from dreaming.models.style_inference import fold_normalisation
from dreaming.models.style_recipe import StyleRecipe

REPEATS = 3


def seconds_a_frame(recipe: Recipe, clip: Clip, workbench: Workbench) -> float:
    """Seconds that a frame takes once the recipe's network is trained: the fastest of three.

    A segmenter's as those of the masker that it becomes, with the evidence that it is given; a style's without reading
    the frame and its guides, which are drawn before. The weights do not matter, and are random.
    """
    if isinstance(recipe, SegmentationRecipe):
        return masker_seconds_a_frame(UntrainedMasker(recipe, workbench), clip)
    assert isinstance(recipe, StyleRecipe)
    module = recipe.build()
    assert isinstance(module, StyleModule)
    fold_normalisation(module.judged)
    frame = torch.rand(1, channel_count(recipe.guides), *clip.size)
    with on_device(module, workbench) as device:
        module.stylise(frame.to(device))
        return min(_once(module.stylise, frame, device) for _ in range(REPEATS))


def masker_seconds_a_frame(masker: Masker, clip: Clip) -> float:
    """Seconds that a masker takes for a frame once it is fitted, decoding included: the fastest of three.

    It is fitted on all hand masks and predicts the shortest run of frames between two of them, as a whole, for a masker
    may have to look at all of it. What it keeps in the clip, such as flow, is made the first time and does not count;
    masks carried there for its evidence do, although the next masker of the same run would find them.

    Returns:
        The mean over the clip's parts.
    """
    return fmean(_of_part(masker, clip, part) for part in clip.parts)


def _of_part(masker: Masker, clip: Clip, part: str) -> float:
    references = clip.learning_references(part)
    inner = [run.stems for run in runs_between(clip.stems, references.stems) if run.left and run.right]
    stems = min(inner, key=len, default=tuple(clip.stems))
    fitted, times = masker.fit(clip, references), []
    for _ in range(REPEATS):
        forget()
        start = time.perf_counter()
        for _frame in fitted.predict(clip, stems):
            pass
        times.append(time.perf_counter() - start)
    return min(times) / len(stems)


def _once(run: Callable[[torch.Tensor], torch.Tensor], frame: torch.Tensor, device: torch.device) -> float:
    start = time.perf_counter()
    run(frame.to(device)).cpu()
    return time.perf_counter() - start
