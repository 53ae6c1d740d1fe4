"""Checkpoints that a killed fit goes on from: written by the clock, and each all or nothing."""

import io
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from dreaming.frames.folder import write_atomically
from dreaming.models.several_devices import launches_processes


class WholeFiles(TorchCheckpointIO):
    """Writes checkpoints beside where they go; Lightning's own way is in pieces where ``/tmp`` is another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write one so that a kill at any moment leaves the one before it.

        Raises:
            SpaceError: If the disk is full.
        """
        data = io.BytesIO()
        torch.save(checkpoint, data)
        write_atomically(Path(path), data.getvalue())


class Rolling(Checkpoint):
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

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Write it if it is time."""
        # Written before the validation that follows, it would be continued from without that validation.
        loop = trainer.fit_loop.epoch_loop
        if loop.batch_progress.is_last_batch or trainer.should_stop:
            return
        due = time.monotonic() - self._last >= self.seconds
        if trainer.strategy.broadcast(due):  # clocks of several processes differ, and all take part in it
            trainer.save_checkpoint(self.path)
            self._last = time.monotonic()

    def on_train_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Write the last one where another process waits for this one: from it that process learns how it went."""
        if launches_processes(trainer):
            trainer.save_checkpoint(self.path)
