"""Checkpoints of a fit: atomic and periodic writing, the one to resume from, and loading of weights."""

import io
import time
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback, Checkpoint
from torch import Tensor

from dreaming.errors import CheckpointError
from dreaming.io.atomic import discard_unfinished, write_atomically
from dreaming.training.distributed import launches_processes

LAST = "checkpoints/last.ckpt"
"""Checkpoint that Lightning writes with each new best one; without validation, after each epoch."""

END = "checkpoints/end.ckpt"
"""Final weights of a finished fit, regardless of their score: Lightning writes ``last.ckpt`` only with a new best."""

ROLLING = "checkpoints/rolling.ckpt"
"""Checkpoint that is written periodically between validations."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically; Lightning's way, copying from ``/tmp``, is not atomic if that is another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint so that a kill at any moment leaves the previous one intact.

        Raises:
            SpaceError: If the disk is full.
        """
        data = io.BytesIO()
        torch.save(checkpoint, data)
        write_atomically(Path(path), data.getvalue())


class RngStateCallback(Callback):
    """Keeps torch's random state in checkpoints, so that noise and dropout continue as in an uninterrupted fit."""

    def __init__(self) -> None:
        self._states: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Tensor]:
        """Random state of the CPU, and of the current GPU if one is in use."""
        states = {"cpu": torch.get_rng_state()}
        return states | {"cuda": torch.cuda.get_rng_state()} if _on_gpu() else states

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        """Keep the state until training starts, because setting up draws random numbers, too."""
        self._states = state_dict

    def on_train_start(self, *_: Any) -> None:
        """Restore the random state."""
        if "cpu" in self._states:
            torch.set_rng_state(self._states["cpu"].cpu())
        if "cuda" in self._states and _on_gpu():
            torch.cuda.set_rng_state(self._states["cuda"].cpu())


class PeriodicCheckpoint(Checkpoint):
    """Writes a checkpoint at an interval of time, between validations.

    ``ModelCheckpoint(train_time_interval=...)`` ignores the interval under manual optimisation. It may also write right
    before a validation, which a resumed fit would then skip, and does not write at the end for another process.
    As a ``Checkpoint``, this callback runs after all others, so it saves their latest state.

    Args:
        path: The file, which is overwritten.
        seconds: Interval in seconds.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds, self._last = path, seconds, 0.0

    def on_train_start(self, *_: Any) -> None:
        """Start the interval."""
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Write the checkpoint if the interval has passed."""
        # A fit that resumes from a checkpoint right before a validation would skip that validation.
        loop = trainer.fit_loop.epoch_loop
        if loop.batch_progress.is_last_batch or trainer.should_stop:
            return
        due = time.monotonic() - self._last >= self.seconds
        if trainer.strategy.broadcast(due):  # clocks differ, and all processes take part in saving
            trainer.save_checkpoint(self.path)
            self._last = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Write a last checkpoint for the parent process, which reads the callbacks' state from it."""
        if launches_processes(trainer):
            trainer.save_checkpoint(self.path)


def recover(folder: Path) -> Path | None:
    """Find the checkpoint with most steps in a fit's folder, and remove files that a kill left incomplete."""
    last, rolling = folder / LAST, folder / ROLLING
    discard_unfinished(last.parent, ("best.ckpt", last.name, rolling.name))
    saved = [path for path in (last, rolling) if path.exists()]
    # File times change when a folder is copied. Of two with equal steps, the one after the validation comes first.
    return max(saved, key=_steps, default=None)


def load(module: pl.LightningModule, checkpoint: Path) -> pl.LightningModule:
    """Load weights into a module that was built from the same config.

    Raises:
        CheckpointError: If the file is no checkpoint of such a module.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        module.load_state_dict(state)
    except FileNotFoundError:
        found = "no such file"
    except (RuntimeError, KeyError, EOFError, OSError) as error:
        found = "no checkpoint of this model (" + " ".join(str(error).split())[:160] + ")"
    except UnpicklingError:
        found = "no checkpoint, or one with more than plain data"
    else:
        return module.eval()
    raise CheckpointError(
        checkpoint,
        found=found,
        expected=f"a checkpoint of {type(module).__name__} with the same network",
        hint="delete its run folder to train again, or restore the config it was trained with",
    )


def _steps(checkpoint: Path) -> int:
    """Optimiser steps behind a checkpoint."""
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["global_step"])


def _on_gpu() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
