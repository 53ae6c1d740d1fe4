"""Fit parts of a generator before its training, within a share of the training time."""

import logging
import time
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Timer
from torch import Tensor, nn

from dreaming.training.callbacks import StepSchedule, find_callbacks

log = logging.getLogger(__name__)

SHARE = 0.5
"""Maximum share of the remaining training time; on most machines the warm start takes much less."""


@runtime_checkable
class WarmStart(Protocol):
    """A generator that can be fitted partly before training; its buffer ``warm`` tells whether this has been done."""

    warm: Tensor

    def warm_start(
        self,
        pictures: Iterable[tuple[Tensor, Tensor, Tensor]],
        *,
        until: float | None = None,
        training_steps: int | None = None,
    ) -> None:
        """Fit to keyframes: image (3, H, W) and painting (3, H, W) in -1..1, pixels to train on (1, H, W) bool.

        Stop when ``time.monotonic`` reaches ``until``. ``training_steps`` follow, None: an unknown number.
        """


def warm_start(generator: nn.Module, pictures: Iterable[tuple[Tensor, Tensor, Tensor]], trainer: pl.Trainer) -> None:
    """Warm-start a generator that supports it in each of a trainer's processes, unless this has been done."""
    if not isinstance(generator, WarmStart) or generator.warm:
        return
    timers = find_callbacks(trainer, Timer)
    remaining = [seconds for timer in timers if (seconds := timer.time_remaining()) is not None]
    planned = [schedule.steps for schedule in find_callbacks(trainer, StepSchedule)]
    start = time.monotonic()
    until = start + SHARE * min(remaining) if remaining else None
    generator.warm_start(pictures, until=until, training_steps=min(planned, default=None))
    log.info("fitted the generator's colours to the keyframes in %.0f s", time.monotonic() - start)
    if trainer.world_size > 1:  # DDP synchronises weights before this, and each process fits its own
        for value in generator.state_dict().values():
            torch.distributed.broadcast(value, src=0)
