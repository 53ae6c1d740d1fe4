"""The Lightning Trainer of a fit: the user's arguments, and those that a fit sets itself."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Checkpoint
from pytorch_lightning.loggers import Logger

from dreaming.training.callbacks import find_callbacks
from dreaming.training.checkpoints import AtomicCheckpointIO
from dreaming.training.context import TrainingContext
from dreaming.training.distributed import check_strategy
from dreaming.training.task import TrainingTask

FIXED_TRAINER_ARGUMENTS = (
    "max_epochs",
    "callbacks",
    "logger",
    "default_root_dir",
    "enable_progress_bar",
    "use_distributed_sampler",
)
"""Arguments of the Trainer that a fit sets itself; a config must not set them."""

DEFAULT_TRAINER_ARGUMENTS: Mapping[str, Any] = {
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
    "log_every_n_steps": 1,
}
"""Arguments of the Trainer that a config may override."""


def build_trainer(
    task: TrainingTask[Any],
    context: TrainingContext,
    folder: Path,
    callbacks: list[Callback],
    loggers: list[Logger],
    steps: int,
    *,
    validate: bool,
) -> pl.Trainer:
    """Build the Trainer of one fit from the user's arguments and those that ``fit`` sets.

    Args:
        task: Has the number of steps of an epoch.
        context: Has the user's Trainer, as a partial.
        folder: Root of all that the Trainer writes.
        callbacks: All callbacks of the fit, in order.
        loggers: All loggers of the fit.
        steps: Number of steps of the fit.
        validate: Whether to run validation.

    Raises:
        ConfigError: If its strategy does not support several devices.
    """
    given = getattr(context.trainer, "keywords", {})
    arguments = {name: value for name, value in DEFAULT_TRAINER_ARGUMENTS.items() if name not in given}
    if not validate:
        arguments["limit_val_batches"] = 0
    trainer = context.trainer(
        max_epochs=math.ceil(steps / task.epoch),
        callbacks=callbacks,
        logger=loggers,
        default_root_dir=folder,
        enable_progress_bar=False,
        use_distributed_sampler=False,  # each device takes its share of every batch by itself
        **arguments,
    )
    check_strategy(trainer)
    trainer.strategy.checkpoint_io = AtomicCheckpointIO()
    if is_dry(trainer):
        # ModelCheckpoint would still write its last checkpoint, from which a full fit would resume.
        for each in find_callbacks(trainer, Checkpoint):
            trainer.callbacks.remove(each)  # type: ignore[attr-defined]  # set by Lightning, but not declared
    return trainer


def is_dry(trainer: pl.Trainer) -> bool:
    """Whether ``fast_dev_run`` makes this a trial of the code, which writes no results."""
    return bool(trainer.fast_dev_run)  # type: ignore[attr-defined]  # set by Lightning, but not declared
