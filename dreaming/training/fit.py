"""The one place that owns a Trainer: fitting a model within a budget, by folds, and continuing where it was."""

import gc
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import Logger

from dreaming.training.callbacks import CosineToBudget, FitTimer, MonitorHistory, StepBar, StepLimit
from dreaming.training.checkpoints import (
    END,
    LAST,
    ROLLING,
    AtomicCheckpointIO,
    PeriodicCheckpoint,
    RngStateCallback,
    recover,
)
from dreaming.training.context import TrainingContext
from dreaming.training.distributed import (
    check_normalisation,
    check_strategy,
    launches_processes,
    make_portable,
    recall,
)
from dreaming.training.fit_result import FitResult
from dreaming.training.image_logging import PICTURES, Pictures, send
from dreaming.training.loggers import finish
from dreaming.training.quiet import quiet_lightning
from dreaming.training.run_registry import begin
from dreaming.training.task import TrainingTask

log = logging.getLogger(__name__)


def fit(
    task: TrainingTask,
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
    unseen_curve: Mapping[int, float] | None = None,
    unseen_pictures: Sequence[Path] = (),
) -> FitResult:
    """Fit one model in its own folder, or continue there if it was cut off, or return at once if it is finished.

    Args:
        task: What to fit and how long.
        context: Trainer and loggers.
        folder: Where checkpoints, metrics and the outcome go.
        module: Builds the module; called with the random generators seeded.
        data: Builds its batches, where there is still something to fit; an epoch is ``recipe.epoch`` steps.
        validate: Whether they include validation batches.
        fingerprint: Plain data that the checkpoint keeps and that must be the same to continue.
        title: Shown on the progress bar.
        max_steps: Instead of the budget's, and without its limit of time.
        standalone: Whether it speaks for its run; a fold does not, and logs to its CSV file only.
        turn: Place among the fits of one training, from 0, and their number.
        unseen_curve: Monitored value by step that folds measured for this fit; logged as its own.
        unseen_pictures: Pictures that folds made for this fit; logged as its own.

    Raises:
        CheckpointError: If the folder holds the beginning of another fit.
        ConfigError: If the trainer cannot fit it on several devices, or nothing of the monitored name is logged.
    """
    begin(folder, fingerprint)
    finished = FitResult.read(folder / "fit.json")
    if finished is not None:
        return finished
    # A Trainer, its model and its data refer to one another: what the last fit held would stay beside this one's.
    gc.collect()
    # Before the seed: what others have to learn first, for the batches, must leave no trace in what is drawn here.
    batches = data()
    pl.seed_everything(context.seed, verbose=False)
    steps = max_steps or task.limits.max_steps
    model = module()
    # Steps that folds found best are all done: on a machine that is busy just then they take longer than they did.
    limit = task.limits.max_time if max_steps is None else None
    timer = FitTimer(None if limit is None else timedelta(seconds=limit), verbose=False)
    curve = MonitorHistory(task.monitor, f"model.{task.name}.monitor")
    keep = ModelCheckpoint(
        folder / "checkpoints",
        filename="best",
        monitor=task.monitor if validate else None,
        mode=task.mode,
        save_last=True,
        enable_version_counter=False,
        save_on_train_epoch_end=not validate,
    )
    rolling = folder / ROLLING
    callbacks: list[Callback] = [
        timer,
        CosineToBudget(steps, timer, task.warmup),
        StepBar(title, steps, timer, task.monitor),
        curve,
        keep,
        RngStateCallback(),
        PeriodicCheckpoint(rolling, task.save_seconds),
        Pictures(folder / PICTURES),
        *(build(*turn, steps) for build in context.callbacks),
        *task.callbacks(folder),
    ]
    if max_steps is not None:
        callbacks.append(StepLimit(max_steps))
    if validate and task.patience is not None:
        stop = EarlyStopping(
            task.monitor,
            min_delta=task.min_delta,
            mode=task.mode,
            patience=task.patience,
            check_on_train_epoch_end=False,
        )
        callbacks.append(stop)
    newest = recover(folder)
    if newest is not None:
        log.info("%s: continuing from %s", title, newest)
    with quiet_lightning():
        trainer = context.trainer(
            max_epochs=math.ceil(steps / task.epoch),
            callbacks=callbacks,
            logger=_loggers(context, folder, fingerprint, standalone=standalone),
            limit_val_batches=None if validate else 0,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
            use_distributed_sampler=False,  # each device takes its share of every batch by itself
            log_every_n_steps=1,
        )
        check_strategy(trainer)
        trainer.strategy.checkpoint_io = AtomicCheckpointIO()
        for logger in trainer.loggers:
            for step, value in (unseen_curve or {}).items():
                logger.log_metrics({task.monitor: value}, step=step)
            send(logger, unseen_pictures)
        elsewhere = launches_processes(trainer)
        if elsewhere:
            check_normalisation(trainer, model)
            make_portable(context.trainer)
        trainer.fit(model, batches, ckpt_path=newest, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if elsewhere:
        recall([curve, keep, timer], rolling)
    trainer.save_checkpoint(folder / END, weights_only=True)
    for logger in trainer.loggers:
        finish(logger, written_here=not elsewhere)
    rolling.unlink(missing_ok=True)
    best = keep.best_model_path if validate else str(folder / LAST)
    outcome = FitResult(
        checkpoint=str(Path(best).absolute().relative_to(folder.absolute())),
        score=float(keep.best_model_score) if validate and keep.best_model_score is not None else math.nan,
        step=curve.best(task.sign) if validate else curve.steps,
        curve=curve.values,
        steps=curve.steps,
        seconds=timer.time_elapsed(),
    )
    outcome.write(folder / "fit.json")
    return outcome


def _loggers(
    context: TrainingContext, folder: Path, fingerprint: Mapping[str, Any], *, standalone: bool
) -> list[Logger]:
    chosen = {name: build for name, build in context.loggers.items() if standalone or name == "csv"}
    loggers = [build(save_dir=str(folder)) for build in chosen.values()]
    for logger in loggers:
        logger.log_hyperparams({"seed": context.seed, "task": fingerprint["task"]})
    return loggers
