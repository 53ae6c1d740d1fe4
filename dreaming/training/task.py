"""What decides how a model is trained on a clip."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.io.manifest import NO_EFFECT, describe
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.run_registry import Best


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


def _check(key: str, value: float | None, fits: bool, expected: str) -> None:
    if not fits:
        raise ConfigError(key, found=str(value), expected=expected, hint="correct the value")
