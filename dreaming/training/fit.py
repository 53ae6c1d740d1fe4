"""Fit one model with a Lightning Trainer, resume an interrupted fit, and record the result."""

import gc
import logging
import math
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import Logger
from torch.multiprocessing.spawn import ProcessException

from dreaming import interruption
from dreaming.training.callbacks import FitTimer, MonitorHistory, PlateauStop, StepBar, StepSchedule
from dreaming.training.checkpoints import (
    BEST,
    END,
    LAST,
    ROLLING,
    PeriodicCheckpoint,
    RngStateCallback,
    recover,
)
from dreaming.training.context import TrainingContext
from dreaming.training.distributed import (
    check_normalisation,
    launches_processes,
    make_portable,
    recall,
)
from dreaming.training.divergence import DivergenceStop
from dreaming.training.fit_result import FIT_RESULT, FitResult
from dreaming.training.image_logging import PICTURES, Pictures, send
from dreaming.training.loggers import finish
from dreaming.training.quiet import quiet_lightning, write_profile
from dreaming.training.run_registry import begin
from dreaming.training.task import TrainingTask
from dreaming.training.trainer import build_trainer, is_dry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitCallbacks:
    """The callbacks of every fit, of which those with a name also measure it.

    Attributes:
        timer: Measures the time, and ends training at its limit.
        schedule: Sets the learning rate of each step, and the number of steps.
        history: Keeps the monitored value of each validation.
        best: Keeps the best checkpoint.
        in_order: All of them, in the order in which Lightning calls them.
    """

    timer: FitTimer
    schedule: StepSchedule
    history: MonitorHistory
    best: ModelCheckpoint
    in_order: Sequence[Callback]

    @classmethod
    def create(
        cls, task: TrainingTask[Any], folder: Path, title: str, steps: int, limit: float | None, *, validate: bool
    ) -> Self:
        """Create the callbacks of a fit of at most ``steps`` steps and ``limit`` seconds (None: any time)."""
        timer = FitTimer(None if limit is None else timedelta(seconds=limit), verbose=False)
        schedule = StepSchedule(title, steps, timer, task.warmup)
        history = MonitorHistory(task.monitor, f"model.{task.name}.monitor")
        best = build_checkpoint(task, folder, validate=validate)
        callbacks: list[Callback] = [
            DivergenceStop(title, task.monitor, task.lr_key),  # first, so that nothing of such a step is saved
            timer,
            schedule,
            StepBar(title, schedule, timer, task.monitor),
            history,
            best,
            RngStateCallback(),
            PeriodicCheckpoint(folder / ROLLING, task.save_seconds),
        ]
        if validate and task.patience is not None:
            callbacks.append(PlateauStop(schedule, history, task.sign, task.patience, task.min_gain, task.anneal))
        return cls(timer, schedule, history, best, callbacks)


def fit(
    task: TrainingTask[Any],
    context: TrainingContext,
    folder: Path,
    *,
    module: Callable[[], pl.LightningModule],
    data: Callable[[], pl.LightningDataModule],
    validate: bool,
    fingerprint: Mapping[str, Any],
    title: str,
    max_steps: int | None = None,
    standalone: bool = True,
    turn: tuple[int, int] = (0, 1),
    fold_curve: Mapping[int, float] | None = None,
    fold_pictures: Sequence[Path] = (),
) -> FitResult:
    """Fit one model in its own folder, resume the fit that was interrupted there, or return its result if it finished.

    Args:
        task: How to train.
        context: Trainer, loggers and seed.
        folder: Folder of checkpoints, metrics and the result.
        module: Builds the module; called with the random generators seeded.
        data: Builds the datamodule; not called for a finished fit. An epoch has ``task.epoch`` steps.
        validate: Whether the datamodule has validation batches.
        fingerprint: Plain data that has to be the same for a fit to be resumed.
        title: Shown on the progress bar.
        max_steps: Number of steps instead of the task's, without its time limit.
        standalone: Whether to use all loggers; a fold uses only its CSV file.
        turn: Index of this fit among those of one training, and their number.
        fold_curve: Monitored value by step, measured by cross-validation; logged as this fit's own.
        fold_pictures: Pictures drawn during cross-validation; logged as this fit's own.

    Raises:
        CheckpointError: If the folder belongs to another fit.
        ConfigError: If the trainer does not support several devices, or the monitored value is not logged.
        DivergenceError: If the loss, a score or the weights are not finite.
    """
    begin(folder, fingerprint)
    finished = FitResult.read(folder / FIT_RESULT)
    if finished is not None:
        return finished
    # A Trainer, its model and its data form reference cycles: without this, those of the last fit stay in memory.
    gc.collect()
    # Before the seed, because building data may fit other models, which must not change the random numbers here.
    batches = data()
    pl.seed_everything(context.seed, verbose=False)
    model = module()
    steps = max_steps or task.limits.max_steps
    # The number of steps comes from cross-validation, so a slower machine must not stop earlier.
    limit = task.limits.max_time if max_steps is None else None
    own = FitCallbacks.create(task, folder, title, steps, limit, validate=validate)
    loggers: list[Logger] = []
    elsewhere, failed = False, True
    try:
        open_loggers(loggers, context, folder, fingerprint["task"], standalone=standalone)
        with quiet_lightning():
            callbacks = [*own.in_order, *(build(*turn, steps) for build in context.callbacks)]
            # Pictures last: at the end of a fit, the user's callbacks may replace the weights by their average.
            callbacks += [*task.callbacks(folder), Pictures(folder / PICTURES), *context.build_callbacks()]
            trainer = build_trainer(task, context, folder, callbacks, loggers, steps, validate=validate)
            write_profile(trainer, folder, title if standalone else None)
            log_cross_validation(trainer.loggers, task.monitor, fold_curve or {}, fold_pictures)
            elsewhere = launches_processes(trainer)
            if elsewhere:
                check_normalisation(trainer, model)
                make_portable(context.trainer)
            _fit(trainer, model, batches, resume(folder, title, model))
        failed = False
    finally:
        for logger in loggers:
            finish(logger, written_here=not elsewhere, failed=failed)
    if elsewhere and not is_dry(trainer):
        recall([own.history, own.best, own.timer, own.schedule], folder / ROLLING)
    checkpoint = folder / (BEST if validate else LAST)  # the clip may have moved since best_model_path was saved
    result = summarise(trainer, own.history, own.timer, checkpoint, task.sign)
    interruption.check()
    planned = own.schedule.steps
    if result.steps < planned and result.seconds >= (limit or math.inf):
        log.warning("%s: stopped at step %d of %d by the limit of %.0f s", title, result.steps, planned, limit)
    return result


def build_checkpoint(task: TrainingTask[Any], folder: Path, *, validate: bool) -> ModelCheckpoint:
    """Build the callback that keeps the best checkpoint, or without validation the last one."""
    return ModelCheckpoint(
        folder / "checkpoints",
        filename="best",
        monitor=task.monitor if validate else None,
        mode=task.mode,
        save_last=True,
        enable_version_counter=False,
        save_on_train_epoch_end=not validate,
    )


def open_loggers(loggers: list[Logger], context: TrainingContext, folder: Path, task: Any, *, standalone: bool) -> None:
    """Append the loggers of one fit, each as soon as it is open; only the CSV file unless ``standalone``."""
    for name, build in context.loggers.items():
        if standalone or name == "csv":
            loggers.append(build(save_dir=str(folder)))
            loggers[-1].log_hyperparams({"seed": context.seed, "task": task})


def log_cross_validation(
    loggers: Sequence[Logger], monitor: str, curve: Mapping[int, float], pictures: Sequence[Path]
) -> None:
    """Log what cross-validation measured and drew as this fit's own."""
    for logger in loggers:
        for step, value in curve.items():
            logger.log_metrics({monitor: value}, step=step)
        send(logger, pictures)


def _fit(trainer: pl.Trainer, model: pl.LightningModule, data: pl.LightningDataModule, checkpoint: Path | None) -> None:
    """Fit, and raise the interruption of a fit after its state is saved.

    Raises:
        KeyboardInterrupt: After Ctrl-C or, as ``Terminated``, after SIGTERM.
    """
    spawns = launches_processes(trainer)
    with interruption.deferrable():  # until training starts there is nothing to save: signals end it at once
        try:
            trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
        except (SystemExit, ProcessException) as error:
            launcher = trainer.strategy.launcher
            if spawns and launcher is not None and isinstance(error, SystemExit):
                launcher.kill(signal.SIGTERM)
            interruption.check()
            if trainer.interrupted and isinstance(error, SystemExit):
                raise KeyboardInterrupt from None
            raise


def resume(folder: Path, title: str, model: pl.LightningModule) -> Path | None:
    """Find the checkpoint to resume from; None for a new fit."""
    newest = recover(folder, model)
    if newest is not None:
        log.info("%s: resuming from %s", title, newest)
    return newest


def summarise(trainer: pl.Trainer, history: MonitorHistory, timer: FitTimer, checkpoint: Path, sign: int) -> FitResult:
    """Write the final checkpoint and the result of a fit; neither after ``fast_dev_run``."""
    folder, dry = Path(trainer.default_root_dir), is_dry(trainer)
    best = history.best(sign) if history.values else None
    result = FitResult(
        checkpoint="" if dry else str(checkpoint.absolute().relative_to(folder.absolute())),
        score=math.nan if best is None else history.values[best],
        step=history.steps if best is None else best,
        curve=history.values,
        steps=history.steps,
        seconds=timer.time_elapsed(),
    )
    if not dry:
        trainer.save_checkpoint(folder / END, weights_only=True)
        (folder / ROLLING).unlink(missing_ok=True)
        result.write(folder / FIT_RESULT)
    return result
