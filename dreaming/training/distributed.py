"""Training and prediction in several processes, one for each device."""

import functools
import os
from collections.abc import Callable, Sequence
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import cv2
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher
from rich import get_console
from torch import multiprocessing, nn
from torch.multiprocessing.spawn import ProcessRaisedException, start_processes

from dreaming.artifacts.shard import Shard, Work
from dreaming.errors import ConfigError, DreamingError

RANK = "LOCAL_RANK"
"""Environment variable with the index of the current process's device, which Lightning reads."""


def launches_processes(trainer: pl.Trainer) -> bool:
    """Whether a Trainer starts new processes to fit in, even for a single device."""
    return isinstance(trainer.strategy.launcher, _MultiProcessingLauncher)


def check_strategy(trainer: pl.Trainer) -> None:
    """Refuse strategies that start the whole command once per device, because its locks would block each other.

    Raises:
        ConfigError: If the Trainer has such a strategy.
    """
    if trainer.num_devices > 1 and not launches_processes(trainer):
        raise ConfigError(
            "trainer.strategy",
            found=f"{type(trainer.strategy).__name__}, which starts the whole command once per device",
            expected="ddp_spawn for several devices",
            hint="use trainer=ddp, or trainer.devices=1",
        )


def check_normalisation(trainer: pl.Trainer, model: nn.Module) -> None:
    """Refuse synchronised batch normalisation on the CPU, where processes cannot share its statistics.

    Raises:
        ConfigError: If the Trainer synchronises it there, and the model has any.
    """
    shared = getattr(trainer.strategy, "_layer_sync", None) is not None and trainer.strategy.root_device.type == "cpu"
    if shared and any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules()):
        raise ConfigError(
            "trainer.sync_batchnorm",
            found="true on the CPU, for a network with batch normalisation",
            expected="GPUs, because processes on the CPU cannot share its statistics",
            hint="set trainer.sync_batchnorm=false for statistics per process, or use another norm",
        )


def make_portable(built: Callable[..., Any]) -> None:
    """Register how to pickle partials of the class of ``built``: as plain ``functools.partial``."""
    if isinstance(built, functools.partial) and type(built) is not functools.partial:
        ForkingPickler.register(type(built), _reduced)


def _reduced(built: functools.partial[Any]) -> Any:
    return functools.partial(built.func, *built.args, **built.keywords).__reduce__()


def recall(callbacks: Sequence[Callback], checkpoint: Path) -> None:
    """Restore the state of callbacks that ran in other processes from the checkpoint that those processes wrote."""
    kept = torch.load(checkpoint, map_location="cpu", weights_only=True)["callbacks"]
    for callback in callbacks:
        callback.load_state_dict(kept[callback.state_key])


def is_one_of_several() -> bool:
    """Whether this process serves one of several devices."""
    return RANK in os.environ


def in_each_process(count: int, stems: list[str], work: Work) -> None:
    """Split frames into intervals and process each in a process of its own; ``work`` has to be picklable.

    Raises:
        DreamingError: If the work raises one; the first in time.
    """
    count = min(count, len(stems))
    shares = [Shard(number, count).take(stems) for number in range(1, count + 1)]
    refused = multiprocessing.get_context("spawn").SimpleQueue()
    threads = max(1, torch.get_num_threads() // count)
    try:
        start_processes(_do_share, (shares, work, threads, refused), nprocs=count)
    except ProcessRaisedException:
        if refused.empty():
            raise
        raise refused.get() from None


def _do_share(index: int, shares: Sequence[list[str]], work: Work, threads: int, refused: Any) -> None:
    """Run one of the processes."""
    os.environ[RANK] = str(index)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    get_console().quiet = index > 0  # one progress bar is enough
    try:
        work(shares[index])
    except DreamingError as error:
        refused.put(error)
        raise
