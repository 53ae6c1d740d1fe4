"""Base class of training tasks: find a finished run, or cross-validate, fit and record a new one."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from dreaming.artifacts.fingerprint import NO_EFFECT, describe
from dreaming.clip.clip import Clip
from dreaming.constraints import NonNegativeFloat, NonNegativeInt, PositiveInt
from dreaming.errors import ConfigError
from dreaming.training import run_registry as runs
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.cross_validation import ValidationResult
from dreaming.training.fit_result import FitResult
from dreaming.training.run_registry import Best

log = logging.getLogger(__name__)

D = TypeVar("D")


@dataclass(frozen=True)
class TrainingRun(Generic[D]):
    """One training of a task in its run folder.

    ``data`` is what the model is trained on: the hand masks of a part, or a layer. ``fingerprint`` differs between any
    two trainings with different results. ``prepared`` is the result of ``TrainingTask.prepare`` or ``setup``.
    """

    clip: Clip
    data: D
    context: TrainingContext
    folder: Path
    fingerprint: dict[str, Any]
    prepared: Any = None


@dataclass(frozen=True)
class TrainingTask(ABC, Generic[D]):
    """Everything that decides how a model is trained, except the clip.

    Attributes:
        name: The model's name; its run folders are in ``runs/<name>/``.
        module: Builds the LightningModule.
        data: Builds the LightningDataModule from training and validation frames.
        monitor: Logged value that selects the best checkpoint.
        mode: Whether the highest (``max``) or the lowest (``min``) value is best.
        patience: Validations without improvement after which a fit ends; None for never.
        min_gain: Improvement of the monitored value that counts for ``patience``.
        anneal: Steps over which the learning rate falls to its end after that; 0: the fit ends at once.
        warmup: Steps over which the learning rate rises at the start.
        save_seconds: Seconds between checkpoints; a killed fit loses at most this time.
        validate_every: Largest number of steps between validations.
        limits: Limits of one fit.
    """

    name: str
    module: Callable[..., pl.LightningModule]
    data: Callable[..., pl.LightningDataModule]
    monitor: str
    mode: Literal["max", "min"]
    validate_every: PositiveInt
    limits: FitLimits
    patience: NonNegativeInt | None = None
    min_gain: NonNegativeFloat = 0.0
    anneal: NonNegativeInt = 0
    warmup: NonNegativeInt = 0
    save_seconds: NonNegativeFloat = field(default=60.0, metadata=NO_EFFECT)

    def __post_init__(self) -> None:
        """Check values that the annotations cannot describe."""

    @property
    def sign(self) -> int:
        """+1 if a higher monitored value is better, -1 if a lower one is."""
        return 1 if self.mode == "max" else -1

    @property
    def lr_key(self) -> str:
        """Config key of the learning rate, for error messages."""
        return f"model.{self.name}.module.lr"

    @property
    def epoch(self) -> int:
        """Steps of an epoch, which ends with a validation; epochs of equal length fill the limit up to a few steps."""
        epochs = math.ceil(self.limits.max_steps / self.validate_every)
        return math.ceil(self.limits.max_steps / epochs)

    def describe_training(self) -> dict[str, Any]:
        """Describe as plain data everything that the weights depend on; inference-only arguments have a fixed value."""
        described: dict[str, Any] = describe(self)
        for name, usual in getattr(getattr(self.module, "func", None), "INFERENCE_ONLY", {}).items():
            if name in described["module"]:
                described["module"][name] = usual
        return described

    def remark(self, folder: Path) -> str:
        """What to add to the log of a finished training in this folder."""
        return ""

    def callbacks(self, folder: Path) -> list[Callback]:
        """Build the task's own callbacks for a fit in this folder."""
        return []

    @abstractmethod
    def subjects(self, clip: Clip) -> list[str]:
        """Names of the parts or layers of a clip that can be trained on."""

    @abstractmethod
    def training_data(self, clip: Clip, subject: str) -> D:
        """Read what the model is trained on."""

    @abstractmethod
    def subject_of(self, data: D) -> str:
        """Name of the part or layer that the data belongs to."""

    @abstractmethod
    def fingerprint(self, clip: Clip, data: D, context: TrainingContext) -> dict[str, Any]:
        """Describe a training as plain data: ``task``, ``references`` and ``seed``."""

    @abstractmethod
    def plan(self, clip: Clip, data: D) -> str:
        """Describe the fits of a training in one line, in their order."""

    @abstractmethod
    def cross_validate(self, run: TrainingRun[D]) -> ValidationResult:
        """Fit with some data held out, once or fold by fold, and measure the monitored value on that data."""

    def finalise(self, run: TrainingRun[D], validation: ValidationResult) -> FitResult | None:
        """Fit on all data after cross-validation; None if the last fit of the validation is the result."""
        return None

    def prepare(self, clip: Clip, data: D) -> Any:
        """Compute the inputs that come from other models, before the training's lock is taken; None: there are none."""
        return None

    def setup(self, run: TrainingRun[D]) -> Any:
        """Compute the data that all fits of a run share; it replaces ``run.prepared``."""
        return run.prepared

    def check(self, clip: Clip, data: D) -> None:
        """Refuse data that the model cannot be trained on, before a run folder exists."""

    def lock(self, clip: Clip, data: D) -> AbstractContextManager[None]:
        """Keep other processes from training the same model on the same clip."""
        return clip.lock(f"fit-{self.name}", f"waiting for another process that trains {self.name} on this clip")

    def find(self, clip: Clip, data: D, context: TrainingContext) -> Best | None:
        """Find the finished run of exactly this task on this data; None if there is none."""
        return runs.find(clip.runs(self.name), self.fingerprint(clip, data, context))

    def find_or_train(self, clip: Clip, data: D, context: TrainingContext, prepared: Any = None) -> Best:
        """Find the finished run of exactly this task on this data, or train it.

        ``prepared`` is the result of ``prepare``, if the caller has it already.

        Raises:
            ConfigError: If the trainer only tries a few batches (``fast_dev_run``).
        """
        folder, fingerprint = clip.runs(self.name), self.fingerprint(clip, data, context)
        best = runs.find(folder, fingerprint)
        if best is not None:
            return best
        if prepared is None:
            prepared = self.prepare(clip, data)
            if prepared is not None:
                # Models that were trained for it are part of the fingerprint.
                fingerprint = self.fingerprint(clip, data, context)
        with self.lock(clip, data):
            best = runs.find(folder, fingerprint)
            if best is None:
                best = self._train(self._unfinished(clip, data, context, fingerprint, prepared))
        if not best.checkpoint:
            raise ConfigError(
                "trainer.fast_dev_run",
                found=f"a dry run, which leaves no weights of {self.name}",
                expected="a full training, because its result is used next",
                hint="try fast_dev_run with train.py",
            )
        return best

    def _unfinished(
        self, clip: Clip, data: D, context: TrainingContext, fingerprint: dict[str, Any], prepared: Any
    ) -> TrainingRun[D]:
        """The interrupted run of exactly this task on this data, or a new one."""
        folder = clip.runs(self.name)
        begun = runs.unfinished(folder, fingerprint) or runs.new_folder(folder)
        return TrainingRun(clip, data, context, begun, fingerprint, prepared)

    def train(self, clip: Clip, subject: str, context: TrainingContext, folder: Path) -> Best:
        """Train on one part or layer in this run folder, resuming an interrupted training there, and record the run."""
        run = self._run(clip, subject, context, folder)
        with self.lock(clip, run.data):
            return self._train(run)

    def measure(self, clip: Clip, subject: str, context: TrainingContext, folder: Path) -> float:
        """Cross-validate on one part or layer in this folder, without a lock, a final fit or a record of the run."""
        run = self._run(clip, subject, context, folder)
        return self.cross_validate(self._begin(run)).score

    def _run(self, clip: Clip, subject: str, context: TrainingContext, folder: Path) -> TrainingRun[D]:
        data = self.training_data(clip, subject)
        prepared = self.prepare(clip, data)
        return TrainingRun(clip, data, context, folder, self.fingerprint(clip, data, context), prepared)

    def _begin(self, run: TrainingRun[D], plan: str | None = None) -> TrainingRun[D]:
        """Check the data and set up the run; log the ``plan``, by default that of a whole training."""
        self.check(run.clip, run.data)
        runs.begin(run.folder, run.fingerprint)
        log.info("%s: %s", self.name, plan or self.plan(run.clip, run.data))
        return replace(run, prepared=self.setup(run))

    def _train(self, run: TrainingRun[D]) -> Best:
        run = self._begin(run)
        validation = self.cross_validate(run)
        final = self.finalise(run, validation)
        results = [*validation.results, *([] if final is None else [final])]
        best = Best(
            folder=run.folder,
            checkpoint=results[-1].checkpoint,
            score=validation.score,
            monitor=self.monitor,
            mode=self.mode,
            steps=validation.steps,
            validation=validation.validation,
            subject=self.subject_of(run.data),
            fingerprint=run.fingerprint,
            seconds=sum(result.seconds for result in results),
        )
        if best.checkpoint:
            runs.record(best, run.clip.runs(self.name))
        log.info(
            "%s: trained in %.0f s, best after %d steps, %s %.4f (%s)%s",
            self.name, best.seconds, best.steps, self.monitor, best.score, best.validation, self.remark(run.folder),
        )  # fmt: skip
        return best
