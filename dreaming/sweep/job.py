"""One job of a sweep: a trial, or the last fit of the best trial."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from dreaming.clip.clip import Clip
from dreaming.errors import DivergenceError
from dreaming.io.atomic import write_atomically
from dreaming.sweep.config import SweepConfig
from dreaming.sweep.pruning import PruningCallback, TrialProgress
from dreaming.sweep.timing import seconds_per_frame
from dreaming.sweep.trial import claim_trial, mark_diverged, record_duration
from dreaming.sweep.wandb_runs import WANDB, refit_loggers, trial_logger
from dreaming.training.context import TrainingContext
from dreaming.training.run_registry import TRIAL
from dreaming.training.task import TrainingTask

log = logging.getLogger(__name__)

Objectives = tuple[float, ...]
"""The value of each objective, in the order of ``sweep.objectives``."""


def train_trial(
    sweep_config: SweepConfig,
    task: TrainingTask[Any],
    clip: Clip,
    subjects: Sequence[str],
    context: TrainingContext,
    folder: Path,
    overrides: Sequence[str],
) -> Objectives:
    """Measure one trial of a model on held-out data, or fit the best trial on all training frames.

    Args:
        sweep_config: The sweep.
        task: How to train the model.
        clip: The clip.
        subjects: Parts or layers of the clip to train on, each on its own.
        context: Trainer, loggers and seed.
        folder: The job's run folder.
        overrides: Those of this job, which identify its trial.

    Returns:
        The value of each objective; for a pruned trial its best value so far.
    """
    if sweep_config.refit is not None:
        folder, single = sweep_config.refit, len(subjects) == 1
        context = replace(context, loggers=refit_loggers(context.loggers, sweep_config))
        bests = [task.train(clip, name, context, folder if single else folder / name) for name in subjects]
        return (fmean(best.score for best in bests),)
    trial = claim_trial(sweep_config, overrides, clip, folder)
    write_atomically(folder / TRIAL, f'{{"sweep": "{sweep_config.name}", "trial": {trial.number}}}\n'.encode())
    with record_duration(trial), trial_logger(context.loggers, sweep_config, trial, folder) as log_values:
        progress = TrialProgress(
            trial, task.monitor, task.sign, prunes=len(sweep_config.objectives) == 1,
            log=lambda value, percent: log_values({task.monitor: value}, percent),
        )  # fmt: skip
        try:
            score = _measure(task, clip, subjects, _without_wandb(context), folder, progress)
        except optuna.TrialPruned:
            log.info("trial %d: pruned after %d %%, %.4f", trial.number, progress.percent, progress.best)
            log_values({"score": progress.best}, 100)
            return (progress.best,)
        except DivergenceError as error:
            mark_diverged(trial, error)
            return tuple(math.nan for _ in sweep_config.objectives)
        values: dict[str, float] = {
            objective: score if objective == "score" else seconds_per_frame(task, clip, context)
            for objective in sweep_config.objectives
        }
        log_values(values, 100)
    return tuple(values.values())


def masker_trial(
    sweep_config: SweepConfig,
    loggers: Mapping[str, Callable[..., Logger]],
    clip: Clip,
    folder: Path,
    overrides: Sequence[str],
    measures: Mapping[str, Callable[[], float]],
) -> Objectives:
    """Measure one trial of a masker, and return the value of each objective.

    Args:
        sweep_config: The sweep.
        loggers: Builders of loggers, by name.
        clip: The clip.
        folder: The job's run folder.
        overrides: Those of this job, which identify its trial.
        measures: Functions that measure the masker by name of the objective; only those of the sweep are called.
    """
    trial = claim_trial(sweep_config, overrides, clip, folder)
    with record_duration(trial), trial_logger(loggers, sweep_config, trial, folder) as log_values:
        try:
            values: dict[str, float] = {objective: measures[objective]() for objective in sweep_config.objectives}
        except DivergenceError as error:
            mark_diverged(trial, error)
            return tuple(math.nan for _ in sweep_config.objectives)
        log_values(values, 100)
    return tuple(values.values())


def _measure(
    task: TrainingTask[Any],
    clip: Clip,
    subjects: Sequence[str],
    context: TrainingContext,
    folder: Path,
    progress: TrialProgress,
) -> float:
    scores = []
    for index, name in enumerate(subjects):
        watched = replace(context, callbacks=(partial(_pruning_callback, progress, index, len(subjects)),))
        scores.append(task.measure(clip, name, watched, folder if len(subjects) == 1 else folder / name))
    return fmean(scores)


def _pruning_callback(
    progress: TrialProgress, subject: int, subject_count: int, fit: int, fit_count: int, steps: int
) -> Callback:
    # A subject with fewer masks may have fewer folds; each subject counts equally.
    return PruningCallback(progress, subject * fit_count + fit, subject_count * fit_count, steps)


def _without_wandb(context: TrainingContext) -> TrainingContext:
    """The context without W&B: a trial is one W&B run, and its fits log to files only."""
    return replace(context, loggers={name: build for name, build in context.loggers.items() if name != WANDB})
