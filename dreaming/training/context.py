"""The machine-dependent side of training: Trainer, loggers and callbacks; and the limits of one fit."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import ClassVar

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.constraints import PositiveFloat, PositiveInt


@dataclass(frozen=True)
class FitLimits:
    """Limits of one fit, which ends at the first one reached: training steps and wall time.

    ``max_time`` is in seconds and includes everything before the first step; None for no limit. If it is too short for
    ``max_steps``, the learning rate falls over the steps that fit into it (``StepSchedule``).
    """

    kind: ClassVar[str] = "fit_limits"

    max_steps: PositiveInt
    max_time: PositiveFloat | None = None

    def __str__(self) -> str:
        limit = "" if self.max_time is None else f" or {self.max_time:.0f} s, whichever comes first"
        return f"{self.max_steps} steps{limit}"


@dataclass(frozen=True)
class TrainingContext:
    """Trainer, loggers, callbacks and seed of a fit; of these, only the seed identifies its result.

    Attributes:
        trainer: Builds the Trainer: device, precision, strategy, and anything else that a Trainer accepts.
        loggers: Build the loggers, by name.
        seed: Seed of all random numbers.
        callbacks: Build a callback from the index of a fit within one training, the number of fits, and its steps.
        user_callbacks: Callbacks from the config by name, or functions that build them. Each fit uses a copy.
    """

    kind: ClassVar[str] = "training_context"

    trainer: Callable[..., pl.Trainer] = field(metadata=NO_EFFECT)
    loggers: Mapping[str, Callable[..., Logger]] = field(default_factory=dict, metadata=NO_EFFECT)
    seed: int = 0
    callbacks: Sequence[Callable[[int, int, int], Callback]] = field(default=(), metadata=NO_EFFECT)
    user_callbacks: Mapping[str, Callback | Callable[[], Callback] | None] = field(
        default_factory=dict, metadata=NO_EFFECT
    )

    def build_callbacks(self) -> list[Callback]:
        """Build the user's callbacks for one fit; a name that is None is left out."""
        made = [made for made in self.user_callbacks.values() if made is not None]
        return [deepcopy(each) if isinstance(each, Callback) else each() for each in made]
