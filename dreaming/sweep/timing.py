"""What a frame takes a network or a masker, as the second objective of a sweep."""

import time
from collections.abc import Callable
from statistics import fmean

import torch

from dreaming.clip.clip import Clip
from dreaming.clip.intervals import intervals_between
from dreaming.features.extractor import clear_cache
from dreaming.guides.compose import channel_count
from dreaming.maskers.base import Masker
from dreaming.maskers.network import UntrainedMasker
from dreaming.maskers.segmentation_task import SegmentationTask
from dreaming.models.style import StyleModule
from dreaming.models.style_inference import fold_normalisation
from dreaming.models.style_task import StyleTask
from dreaming.training.context import TrainingContext
from dreaming.training.inference import on_device
from dreaming.training.task import TrainingTask

REPEATS = 3


def seconds_per_frame(task: TrainingTask, clip: Clip, context: TrainingContext) -> float:
    """Seconds that a frame takes once the recipe's network is trained: the fastest of three.

    A segmenter's as those of the masker that it becomes, with the evidence that it is given; a style's without reading
    the frame and its guides, which are drawn before. The weights do not matter, and are random.
    """
    if isinstance(task, SegmentationTask):
        return masker_seconds_per_frame(UntrainedMasker(task, context), clip)
    assert isinstance(task, StyleTask)
    module = task.build()
    assert isinstance(module, StyleModule)
    fold_normalisation(module.eval_generator)
    frame = torch.rand(1, channel_count(task.guides), *clip.size)
    with on_device(module, context) as device:
        module.stylise(frame.to(device))
        return min(_once(module.stylise, frame, device) for _ in range(REPEATS))


def masker_seconds_per_frame(masker: Masker, clip: Clip) -> float:
    """Seconds that a masker takes for a frame once it is fitted, decoding included: the fastest of three.

    It is fitted on all hand masks and predicts the shortest run of frames between two of them, as a whole, for a masker
    may have to look at all of it. What it keeps in the clip, such as flow, is made the first time and does not count;
    masks carried there for its evidence do, although the next masker of the same run would find them.

    Returns:
        The mean over the clip's parts.
    """
    return fmean(_of_part(masker, clip, part) for part in clip.parts)


def _of_part(masker: Masker, clip: Clip, part: str) -> float:
    references = clip.training_references(part)
    inner = [run.stems for run in intervals_between(clip.stems, references.stems) if run.left and run.right]
    stems = min(inner, key=len, default=tuple(clip.stems))
    fitted, times = masker.fit(clip, references), []
    for _ in range(REPEATS):
        clear_cache()
        start = time.perf_counter()
        for _frame in fitted.predict(clip, stems):
            pass
        times.append(time.perf_counter() - start)
    return min(times) / len(stems)


def _once(run: Callable[[torch.Tensor], torch.Tensor], frame: torch.Tensor, device: torch.device) -> float:
    start = time.perf_counter()
    run(frame.to(device)).cpu()
    return time.perf_counter() - start
