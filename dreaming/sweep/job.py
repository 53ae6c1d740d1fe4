"""One job of a sweep: a trial, or the last fit of the best one."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean

import optuna
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from dreaming.clip.clip import Clip
from dreaming.io.atomic import write_atomically
from dreaming.sweep.config import SweepConfig
from dreaming.sweep.pruning import Pruning, TrialProgress
from dreaming.sweep.timing import seconds_per_frame
from dreaming.sweep.trial import claim_trial, timed
from dreaming.sweep.wandb_runs import WANDB, refit_loggers, trial_logger
from dreaming.training.context import TrainingContext
from dreaming.training.run_registry import TRIAL
from dreaming.training.task import TrainingTask

log = logging.getLogger(__name__)

Objectives = tuple[float, ...]


def train_trial(
    plan: SweepConfig,
    task: TrainingTask,
    clip: Clip,
    subjects: Sequence[str],
    context: TrainingContext,
    folder: Path,
    overrides: Sequence[str],
) -> Objectives:
    """Measure one trial of a model on unseen data, or train the best one on all references.

    Args:
        plan: The sweep.
        task: What the trial is.
        clip: What it learns on.
        subjects: The parts or layers to learn.
        context: What it is trained on.
        folder: This job's run folder.
        overrides: This job's, by which it finds its trial.

    Returns:
        The value of each objective; of a pruned trial, the best that it had.
    """
    if plan.refit is not None:
        folder, alone = plan.refit, len(subjects) == 1
        context = replace(context, loggers=refit_loggers(context.loggers, plan))
        bests = [task.train(clip, name, context, folder if alone else folder / name) for name in subjects]
        return (fmean(best.score for best in bests),)
    trial = claim_trial(plan, overrides, clip, folder)
    write_atomically(folder / TRIAL, f'{{"sweep": "{plan.name}", "trial": {trial.number}}}\n'.encode())
    with timed(trial), trial_logger(context.loggers, plan, trial, folder) as log_values:
        prunes = len(plan.objectives) == 1
        course = TrialProgress(
            trial, task.monitor, task.sign, prunes=prunes,
            log=lambda value, percent: log_values({task.monitor: value}, percent),
        )  # fmt: skip
        try:
            score = _measure(task, clip, subjects, _without_wandb(context), folder, course)
        except optuna.TrialPruned:
            log.info("trial %d: pruned after %d %%, %.4f", trial.number, course.percent, course.best)
            log_values({"score": course.best}, 100)
            return (course.best,)
        values = [score if wanted == "score" else seconds_per_frame(task, clip, context) for wanted in plan.objectives]
        log_values(dict(zip(plan.objectives, values, strict=True)), 100)
    return tuple(values)


def masker_trial(
    plan: SweepConfig,
    loggers: Mapping[str, Callable[..., Logger]],
    clip: Clip,
    folder: Path,
    overrides: Sequence[str],
    measures: Mapping[str, Callable[[], float]],
) -> Objectives:
    """Measure one trial of a masker.

    Args:
        plan: The sweep.
        loggers: Build the loggers by name.
        clip: What it is measured on.
        folder: This job's run folder.
        overrides: This job's, by which it finds its trial.
        measures: Measure it, by objective; those that the sweep does not ask for are left alone.

    Returns:
        The value of each objective.
    """
    trial = claim_trial(plan, overrides, clip, folder)
    with timed(trial), trial_logger(loggers, plan, trial, folder) as log_values:
        values: dict[str, float] = {wanted: measures[wanted]() for wanted in plan.objectives}
        log_values(values, 100)
    return tuple(values.values())


def _measure(
    task: TrainingTask,
    clip: Clip,
    subjects: Sequence[str],
    context: TrainingContext,
    folder: Path,
    course: TrialProgress,
) -> float:
    scores = []
    for place, name in enumerate(subjects):
        watched = replace(context, callbacks=(partial(_watch, course, place, len(subjects)),))
        scores.append(task.measure(clip, name, watched, folder if len(subjects) == 1 else folder / name))
    return fmean(scores)


def _watch(course: TrialProgress, subject: int, subjects: int, turn: int, turns: int, steps: int) -> Callback:
    # Folds may be fewer for a subject with fewer masks; each subject counts as much as any other.
    return Pruning(course, subject * turns + turn, subjects * turns, steps)


def _without_wandb(context: TrainingContext) -> TrainingContext:
    """A trial is one run; its fits write to their files only."""
    return replace(context, loggers={name: build for name, build in context.loggers.items() if name != WANDB})
