"""What a fit, and the making of frames, need where processes of their own do it, one for each device."""

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

from dreaming.errors import ConfigError, DreamingError
from dreaming.io.shard import Shard, Work

RANK = "LOCAL_RANK"
"""Variable from which Lightning takes, in one of several processes, which of the devices is this one's own."""


def launches_processes(trainer: pl.Trainer) -> bool:
    """Whether its fits happen in processes of their own, be it a single one for a single device."""
    return isinstance(trainer.strategy.launcher, _MultiProcessingLauncher)


def check_strategy(trainer: pl.Trainer) -> None:
    """Refuse strategies that start this very command again for each device: its locks would wait for one another.

    Raises:
        ConfigError: If the trainer's is one of them.
    """
    if trainer.num_devices > 1 and not launches_processes(trainer):
        raise ConfigError(
            "trainer.strategy",
            found=f"{type(trainer.strategy).__name__}, which would start the whole command once more for each device",
            expected="ddp_spawn, the one for several devices",
            hint="leave it as trainer=ddp has it, or say trainer.devices=1",
        )


def check_normalisation(trainer: pl.Trainer, model: nn.Module) -> None:
    """Refuse to train batch normalisation in several processes on the CPU, where they cannot share its statistics.

    Raises:
        ConfigError: If that is asked for.
    """
    shared = getattr(trainer.strategy, "_layer_sync", None) is not None and trainer.strategy.root_device.type == "cpu"
    if shared and any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules()):
        raise ConfigError(
            "trainer.sync_batchnorm",
            found="true on the CPU, for a network with batch normalisation",
            expected="GPUs, on which alone processes can share its statistics",
            hint="say trainer.sync_batchnorm=false, by which each takes those of its share, or another norm",
        )


def make_portable(built: Callable[..., Any]) -> None:
    """Let partials that Hydra built travel to other processes, as plain ones: its own kind cannot.

    Args:
        built: Any of them.
    """
    if isinstance(built, functools.partial) and type(built) is not functools.partial:
        ForkingPickler.register(type(built), _reduced)


def _reduced(built: functools.partial[Any]) -> Any:
    return functools.partial(built.func, *built.args, **built.keywords).__reduce__()


def recall(callbacks: Sequence[Callback], checkpoint: Path) -> None:
    """Bring back what callbacks noted in other processes, from the checkpoint that those wrote."""
    kept = torch.load(checkpoint, map_location="cpu", weights_only=True)["callbacks"]
    for callback in callbacks:
        callback.load_state_dict(kept[callback.state_key])


def is_one_of_several() -> bool:
    """Whether this process was launched for one of several devices."""
    return RANK in os.environ


def in_each_process(count: int, stems: list[str], work: Work) -> None:
    """Do a work on frames in a process for each of several devices, a stretch of neighbours in each.

    Args:
        count: How many devices.
        stems: Names of the frames.
        work: Travels to the processes.

    Raises:
        DreamingError: If the work raises one; the first that a process met.
    """
    count = min(count, len(stems))
    shares = [Shard(place, count).take(stems) for place in range(1, count + 1)]
    refused = multiprocessing.get_context("spawn").SimpleQueue()
    threads = max(1, torch.get_num_threads() // count)
    try:
        start_processes(_do_share, (shares, work, threads, refused), nprocs=count)  # type: ignore[no-untyped-call]
    except ProcessRaisedException:
        if refused.empty():
            raise
        raise refused.get() from None


def _do_share(place: int, shares: Sequence[list[str]], work: Work, threads: int, refused: Any) -> None:
    """What one of the processes does."""
    os.environ[RANK] = str(place)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    get_console().quiet = place > 0  # one progress bar is enough
    try:
        work(shares[place])
    except DreamingError as error:
        refused.put(error)
        raise
