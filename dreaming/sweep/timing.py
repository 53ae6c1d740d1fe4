"""Seconds per frame of a network or a masker, the second objective of a sweep."""

import time
from collections.abc import Callable
from statistics import fmean
from typing import Any

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
from dreaming.training.inference import prepare_inference
from dreaming.training.task import TrainingTask

REPEATS = 3


def seconds_per_frame(task: TrainingTask[Any], clip: Clip, context: TrainingContext) -> float:
    """Inference time per frame of a task's network, in seconds: the fastest of three repeats.

    A segmentation network is timed as a masker, with its feature channels. A style network is timed
    without reading the frame and its guides, which are drawn beforehand. The weights are random, because they do not
    change the time.
    """
    if isinstance(task, SegmentationTask):
        return masker_seconds_per_frame(UntrainedMasker(task, context), clip)
    assert isinstance(task, StyleTask)
    module = task.build()
    assert isinstance(module, StyleModule)
    fold_normalisation(module.generator)
    frame = torch.rand(1, channel_count(task.guides), *clip.size)
    runner = prepare_inference(module, context)
    with runner.forward_context():
        module.stylise(frame.to(runner.device))
        return min(_time_once(module.stylise, frame, runner.device) for _ in range(REPEATS))


def masker_seconds_per_frame(masker: Masker, clip: Clip) -> float:
    """Prediction time per frame of a fitted masker, in seconds, decoding included: the fastest of three repeats.

    The masker is fitted on all hand masks and predicts the shortest interval of frames between two of them as a whole,
    because it may need all of its frames. Optical flow and other results that it stores in the clip are made once and
    not counted. Masks propagated for its features are counted, although the next masker of a run would reuse them. The
    result is the mean over the clip's parts.
    """
    return fmean(_part_seconds_per_frame(masker, clip, part) for part in clip.parts)


def _part_seconds_per_frame(masker: Masker, clip: Clip, part: str) -> float:
    references = clip.training_references(part)
    intervals = [each.stems for each in intervals_between(clip.shots, references.stems) if each.left and each.right]
    stems = min(intervals, key=len, default=tuple(clip.stems))
    fitted, times = masker.fit(clip, references), []
    for _ in range(REPEATS):
        clear_cache()
        start = time.perf_counter()
        for _frame in fitted.predict(clip, stems):
            pass
        times.append(time.perf_counter() - start)
    return min(times) / len(stems)


def _time_once(run: Callable[[torch.Tensor], torch.Tensor], frame: torch.Tensor, device: torch.device) -> float:
    start = time.perf_counter()
    run(frame.to(device)).cpu()
    return time.perf_counter() - start
