"""What a fit runs on, and when it ends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from dreaming.errors import ConfigError
from dreaming.io.manifest import NO_EFFECT


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


def _check(key: str, value: float | None, fits: bool, expected: str) -> None:
    if not fits:
        raise ConfigError(key, found=str(value), expected=expected, hint="correct the value")
