"""The one place that owns a Trainer: fitting a model within a budget, by folds, and continuing where it was."""

import gc
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import Logger

from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.io.manifest import NO_EFFECT, describe
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
from dreaming.training.run_registry import Best, begin

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitLimits:
    """When one fit ends: whichever comes first.

    Attributes:
        max_steps: Training steps.
        max_time: Wall time in seconds, all that comes before the first step included; None for no limit.

    Raises:
        ConfigError: If it leaves no room for a step.
    """

    kind: ClassVar[str] = "fit_limits"

    max_steps: int
    max_time: float | None = None

    def __post_init__(self) -> None:
        _check("limits.max_steps", self.max_steps, self.max_steps >= 1, "1 or more")
        _check("limits.max_time", self.max_time, self.max_time is None or self.max_time > 0, "seconds above 0, or null")

    def __str__(self) -> str:
        limit = "" if self.max_time is None else f" or {self.max_time:.0f} s, whichever comes first"
        return f"{self.max_steps} steps{limit}"


@dataclass(frozen=True)
class TrainingContext:
    """What a fit runs on; nothing here is meant to change its result.

    Attributes:
        trainer: Builds the Trainer: device, precision, strategy.
        loggers: Build the loggers by name.
        seed: Seed of everything random.
        callbacks: Build further callbacks of each fit from its place among those of one training (from 0), their
            number, and its steps; they watch, and may raise.
    """

    trainer: Callable[..., pl.Trainer] = field(metadata=NO_EFFECT)
    loggers: Mapping[str, Callable[..., Logger]] = field(default_factory=dict, metadata=NO_EFFECT)
    seed: int = 0
    callbacks: Sequence[Callable[[int, int, int], Callback]] = field(default=(), metadata=NO_EFFECT)


@dataclass(frozen=True)
class TrainingTask(ABC):
    """Everything that decides what a model learns, but the clip.

    Attributes:
        name: The model's name; its runs lie in ``runs/<name>/``.
        module: Builds the LightningModule from what is known of the clip only.
        data: Builds the LightningDataModule from the frames to learn from and those to validate on.
        monitor: Logged value that tells the best checkpoint.
        mode: ``max`` or ``min`` of it.
        patience: Validations without improvement before a fit stops; None for never.
        min_delta: Least improvement that counts as one there.
        warmup: Steps over which the learning rate rises at the start.
        save_seconds: Seconds between checkpoints that are written for a kill's sake; what one loses at most.
        validate_every: Steps between validations, at most.
        budget: When one fit ends.

    Raises:
        ConfigError: If a number is out of its range.
    """

    name: str
    module: Callable[..., pl.LightningModule]
    data: Callable[..., pl.LightningDataModule]
    monitor: str
    mode: Literal["max", "min"]
    validate_every: int
    limits: FitLimits
    patience: int | None = None
    min_delta: float = 0.0
    warmup: int = 0
    save_seconds: float = field(default=60.0, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        where, patience = f"model.{self.name}", self.patience
        _check(f"{where}.validate_every", self.validate_every, self.validate_every >= 1, "1 or more")
        _check(f"{where}.patience", patience, patience is None or patience >= 0, "0 or more, or null for never")
        _check(f"{where}.warmup", self.warmup, self.warmup >= 0, "0 or more")
        _check(f"{where}.save_seconds", self.save_seconds, self.save_seconds >= 0, "0 or more")

    @property
    def sign(self) -> int:
        """+1 where more of the monitored value is better, -1 where less is."""
        return 1 if self.mode == "max" else -1

    @property
    def epoch(self) -> int:
        """Steps of an epoch, which ends with a validation: epochs alike that fill the budget, or miss it by a few."""
        epochs = math.ceil(self.limits.max_steps / self.validate_every)
        return math.ceil(self.limits.max_steps / epochs)

    def describe_training(self) -> dict[str, Any]:
        """Plain data of all that decides what is learnt, whatever the module says of keys that it does not learn by."""
        described: dict[str, Any] = describe(self)
        for name, usual in getattr(getattr(self.module, "func", None), "INFERENCE_ONLY", {}).items():
            if name in described["module"]:
                described["module"][name] = usual
        return described

    def callbacks(self, folder: Path) -> list[Callback]:
        """What else is to happen during a fit in this folder."""
        return []

    @abstractmethod
    def subjects(self, clip: Clip) -> list[str]:
        """What there is to learn in a clip: names of its parts, or of its layers."""

    @abstractmethod
    def train(self, clip: Clip, subject: str, context: TrainingContext, folder: Path) -> Best:
        """Learn one of the subjects in a run folder, continuing what was begun there; record it if it is the best."""

    def measure(self, clip: Clip, subject: str, context: TrainingContext, folder: Path) -> float:
        """How well one of the subjects is learnt, on unseen data; nothing is recorded, and others do not wait."""
        return self.train(clip, subject, context, folder).score


def fit(
    task: TrainingTask,
    context: TrainingContext,
    folder: Path,
    *,
    module: Callable[[], pl.LightningModule],
    data: Callable[[], pl.LightningDataModule],
    validate: bool,
    identity: Mapping[str, Any],
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
        identity: Plain data that the checkpoint keeps and that must be the same to continue.
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
    begin(folder, identity)
    finished = FitResult.read(folder / "outcome.json")
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
            logger=_loggers(context, folder, identity, standalone=standalone),
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
    outcome.write(folder / "outcome.json")
    return outcome


def _check(key: str, value: float | None, fits: bool, expected: str) -> None:
    if not fits:
        raise ConfigError(key, found=str(value), expected=expected, hint="correct the value")


def _loggers(context: TrainingContext, folder: Path, identity: Mapping[str, Any], *, standalone: bool) -> list[Logger]:
    chosen = {name: build for name, build in context.loggers.items() if standalone or name == "csv"}
    loggers = [build(save_dir=str(folder)) for build in chosen.values()]
    for logger in loggers:
        logger.log_hyperparams({"seed": context.seed, "recipe": identity["recipe"]})
    return loggers
