"""Checkpoints of a fit: each all or nothing, some by the clock; gone on from after a kill, and loaded for use."""

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
"""Where Lightning writes a checkpoint with each new best one; without validation, after each epoch."""

END = "checkpoints/end.ckpt"
"""Where the weights lie that a finished fit ended with, whatever validation says of them: Lightning writes its
``last.ckpt`` only when there is a new best one."""

ROLLING = "checkpoints/rolling.ckpt"
"""Where the checkpoint lies that is written by the clock, between validations."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints beside where they go; Lightning's own way is in pieces where ``/tmp`` is another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write one so that a kill at any moment leaves the one before it.

        Raises:
            SpaceError: If the disk is full.
        """
        data = io.BytesIO()
        torch.save(checkpoint, data)
        write_atomically(Path(path), data.getvalue())


class RngStateCallback(Callback):
    """Keep torch's random state in checkpoints, so that noise and dropout go on with what they would have drawn."""

    def __init__(self) -> None:
        self._states: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Tensor]:
        """The state of the CPU, and of the GPU in use if there is one."""
        states = {"cpu": torch.get_rng_state()}
        return states | {"cuda": torch.cuda.get_rng_state()} if _on_gpu() else states

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        """Take it along until training starts: what is set up before draws from it, too."""
        self._states = state_dict

    def on_train_start(self, *_: Any) -> None:
        """Go on with it."""
        if "cpu" in self._states:
            torch.set_rng_state(self._states["cpu"].cpu())
        if "cuda" in self._states and _on_gpu():
            torch.cuda.set_rng_state(self._states["cuda"].cpu())


class PeriodicCheckpoint(Checkpoint):
    """Write a checkpoint by the clock, between validations.

    Lightning's own ``ModelCheckpoint`` has such an interval too, but leaves it out where a module steps its optimisers
    itself. As a ``Checkpoint`` it comes after all other callbacks, of which it keeps the state.

    Args:
        path: The file; each takes the place of the one before.
        seconds: Between two of them.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds, self._last = path, seconds, 0.0

    def on_train_start(self, *_: Any) -> None:
        """Start the clock."""
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Write it if it is time."""
        # Written before the validation that follows, it would be continued from without that validation.
        loop = trainer.fit_loop.epoch_loop
        if loop.batch_progress.is_last_batch or trainer.should_stop:
            return
        due = time.monotonic() - self._last >= self.seconds
        if trainer.strategy.broadcast(due):  # clocks of several processes differ, and all take part in it
            trainer.save_checkpoint(self.path)
            self._last = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Write the last one where another process waits for this one: from it that process learns how it went."""
        if launches_processes(trainer):
            trainer.save_checkpoint(self.path)


def recover(folder: Path) -> Path | None:
    """The newest whole checkpoint in a fit's folder, to go on from; what a kill left half written is removed."""
    last, rolling = folder / LAST, folder / ROLLING
    discard_unfinished(last.parent, ("best.ckpt", last.name, rolling.name))
    saved = [path for path in (last, rolling) if path.exists()]
    # File times do not survive a copy. At the same step the one after the validation is further.
    return max(saved, key=_steps, default=None)


def load(module: pl.LightningModule, checkpoint: Path) -> pl.LightningModule:
    """Load a checkpoint's weights into a module built from the same config.

    Raises:
        CheckpointError: If it is no checkpoint, or one of another model.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        module.load_state_dict(state)
    except FileNotFoundError:
        found = "no such file"
    except (RuntimeError, KeyError, EOFError, OSError) as error:
        found = "a file that is no checkpoint of this model (" + " ".join(str(error).split())[:160] + ")"
    except UnpicklingError:
        found = "a file that is no checkpoint, or holds more than weights"
    else:
        return module.eval()
    raise CheckpointError(
        checkpoint,
        found=found,
        expected=f"a checkpoint of {type(module).__name__} with the same network",
        hint="delete its run folder to train again, or set the model's config as it was trained",
    )


def _steps(checkpoint: Path) -> int:
    """Optimiser steps behind a checkpoint."""
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["global_step"])


def _on_gpu() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
