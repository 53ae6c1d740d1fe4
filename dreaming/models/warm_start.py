"""Fitting a part of a generator before its training begins, within the time that its training has."""

import logging
import time
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Timer
from torch import Tensor, nn

log = logging.getLogger(__name__)

SHARE = 0.5
"""Of the time that a fit has left, what a warm start may take; on most machines it is done long before."""


@runtime_checkable
class WarmStart(Protocol):
    """A generator of which a part is fitted before training begins.

    Attributes:
        warm: Whether that is done; kept with the weights, so that what goes on after a kill does not do it again.
    """

    warm: Tensor

    def warm_start(self, pictures: Iterable[tuple[Tensor, Tensor, Tensor]], *, until: float | None = None) -> None:
        """Fit to keyframes: each (3, H, W) and painted (3, H, W) in -1..1, what to learn from (1, H, W) bool.

        Where ``time.monotonic`` may not pass ``until``, more roughly.
        """


def warm_start(generator: nn.Module, pictures: Iterable[tuple[Tensor, Tensor, Tensor]], trainer: pl.Trainer) -> bool:
    """Fit what of a generator needs no training, in each of a trainer's processes; return whether there was any."""
    if not isinstance(generator, WarmStart) or generator.warm:
        return False
    clocks = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
    left = [seconds for clock in clocks if (seconds := clock.time_remaining()) is not None]
    log.info("the generator's colours are fitted to the keyframes before its training begins")
    begun = time.monotonic()
    generator.warm_start(pictures, until=begun + SHARE * min(left) if left else None)
    log.info("colours fitted in %.0f s", time.monotonic() - begun)
    if trainer.world_size > 1:  # DDP made them alike before; each process has fitted its own since
        for value in generator.state_dict().values():
            torch.distributed.broadcast(value, src=0)
    return True
