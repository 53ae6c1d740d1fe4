"""Checkpoints of a fit: atomic and periodic writing, the one to resume from, and loading of weights."""

import io
import logging
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback, Checkpoint
from torch import Tensor

from dreaming import interruption
from dreaming.artifacts.folder import set_aside_name
from dreaming.errors import CheckpointError
from dreaming.io.atomic import discard_unfinished, write_atomically
from dreaming.training.distributed import launches_processes
from dreaming.training.divergence import is_finite

M = TypeVar("M", bound=pl.LightningModule)

log = logging.getLogger(__name__)

BEST = "checkpoints/best.ckpt"
"""Checkpoint with the best validation."""

LAST = "checkpoints/last.ckpt"
"""Checkpoint that Lightning writes with each new best one; without validation, after each epoch."""

END = "checkpoints/end.ckpt"
"""Final weights of a finished fit, regardless of their score: Lightning writes ``last.ckpt`` only with a new best."""

ROLLING = "checkpoints/rolling.ckpt"
"""Checkpoint that is written periodically between validations."""

BEST = "checkpoints/best.ckpt"
"""Checkpoint that Lightning writes with the best score."""

RESUMABLE = {"state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", "epoch", "global_step"}
"""Entries of a checkpoint that Lightning needs to resume a fit."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically; Lightning's way, copying from ``/tmp``, is not atomic if that is another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write so that a kill at any moment leaves the previous file intact; ``SpaceError`` if the disk is full."""
        data = io.BytesIO()
        torch.save(checkpoint, data)
        write_atomically(Path(path), data.getvalue())

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove nothing: the files of a fit have fixed names, and a checkpoint from elsewhere may name any folder."""


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


class Interrupted(SystemExit):
    """Ends a fit that has saved its state; Lightning would turn a ``KeyboardInterrupt`` into an exit with code 1."""


class PeriodicCheckpoint(Checkpoint):
    """Writes a checkpoint every ``seconds`` between validations, and before a fit ends after Ctrl-C or SIGTERM.

    ``ModelCheckpoint(train_time_interval=...)`` ignores the interval under manual optimisation. It may also write right
    before a validation, which a resumed fit would then skip, and does not write at the end for another process. As a
    ``Checkpoint``, this callback runs after all others, so it saves their latest state.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds, self._last = path, seconds, 0.0

    def setup(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """Defer signals in one of several processes, which all have to stop after the same step."""
        if launches_processes(trainer):
            interruption.defer()

    def on_train_start(self, *_: Any) -> None:
        """Start the interval, and defer signals, in place of Lightning's handler of SIGTERM."""
        interruption.defer()
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Write the checkpoint if the interval has passed, or if a signal was received.

        Raises:
            Interrupted: After a signal.
        """
        # A fit that resumes from a checkpoint right before a validation would skip that validation.
        loop = trainer.fit_loop.epoch_loop
        if loop.batch_progress.is_last_batch or trainer.should_stop:
            return
        due, stops = time.monotonic() - self._last >= self.seconds, interruption.is_pending()
        due, stops = trainer.strategy.broadcast((due, stops))  # clocks differ, and all processes take part in saving
        if due or stops:
            trainer.save_checkpoint(self.path)
            self._last = time.monotonic()
        if stops:
            raise Interrupted(1)

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop after a validation, which may follow every batch, if a signal was received."""
        self._stop(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop after an epoch without a validation if a signal was received."""
        self._stop(trainer)

    def _stop(self, trainer: pl.Trainer) -> None:
        # A fit that ends anyway records its result.
        if not trainer.should_stop and trainer.strategy.broadcast(interruption.is_pending()):
            trainer.save_checkpoint(self.path)
            raise Interrupted(1)

    def on_train_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Write a last checkpoint for the parent process, which reads the callbacks' state from it."""
        if launches_processes(trainer):
            trainer.save_checkpoint(self.path)


def recover(folder: Path, model: pl.LightningModule) -> Path | None:
    """Find the checkpoint with most steps in a fit's folder, and remove files that a kill left incomplete.

    A damaged checkpoint is renamed, with a warning, and the best one of the others is used.

    Args:
        folder: Folder of the fit.
        model: The module to resume, built from the same config.
    """
    paths = [folder / name for name in (LAST, ROLLING, BEST)]
    discard_unfinished(paths[0].parent, [path.name for path in paths])
    steps: dict[Path, int] = {}
    for path in paths:
        if not path.exists() and not path.is_symlink():
            continue
        try:
            steps[path] = _steps(path, model)
        except Exception as error:  # whatever torch raises for bytes that are no checkpoint
            kept = set_aside_name(path)
            path.rename(kept)
            log.warning(
                "%s: damaged, so it is kept as %s and not used (%s)", path, kept.name, " ".join(str(error).split())
            )
    # File times change when a folder is copied. Of two with equal steps, the one after the validation comes first.
    return max(steps, key=lambda path: steps[path], default=None)


def load(module: pl.LightningModule, checkpoint: Path) -> pl.LightningModule:
    """Load weights into a module that was built from the same config.

    Damaged ones are refused, because they may have taken hours to train, and a copy may exist elsewhere.

    Raises:
        CheckpointError: If the file is no checkpoint of such a module.
    """
    try:
        module.load_state_dict(_read(checkpoint)["state_dict"])
    except UnpicklingError:
        found = "no checkpoint, or one with more than plain data"
    except Exception as error:  # whatever torch raises for bytes that are no checkpoint
        found = _not_of_this_model(error)
    else:
        if is_finite(module):
            return module.eval()
        found = "weights that are not finite"
    raise _refusal(checkpoint, type(module).__name__, found)


def rebuild(kind: type[M], checkpoint: Path) -> M:
    """Build a module from the hyperparameters in a checkpoint and load its weights, on the CPU.

    Raises:
        CheckpointError: If the file is no checkpoint of this class.
    """
    try:
        module = kind(**_read(checkpoint)[kind.CHECKPOINT_HYPER_PARAMS_KEY])
    except Exception as error:  # whatever torch and the module raise for other data
        raise _refusal(checkpoint, kind.__name__, _not_of_this_model(error)) from None
    load(module, checkpoint)
    return module


def _not_of_this_model(error: Exception) -> str:
    return "no checkpoint of this model (" + " ".join(str(error).split())[:160] + ")"


def _refusal(checkpoint: Path, kind: str, found: str) -> CheckpointError:
    return CheckpointError(
        checkpoint,
        found=found,
        expected=f"a checkpoint of {kind} with the same network",
        hint="delete its run folder to train again, or restore the config it was trained with",
    )


def _steps(checkpoint: Path, model: pl.LightningModule) -> int:
    """Optimiser steps behind a checkpoint of this model; raise any error if it is damaged or another model's."""
    state = _read(checkpoint)
    if missing := sorted(RESUMABLE - state.keys()):
        raise ValueError(f"no {missing[0]}")
    if _shapes(state["state_dict"]) != _shapes(model.state_dict()):
        raise ValueError("weights of another network")
    return int(state["global_step"])


def _read(checkpoint: Path) -> Any:
    if not checkpoint.is_file():
        raise ValueError("no file")
    with zipfile.ZipFile(checkpoint) as archive:  # torch does not compare checksums
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"wrong checksum of {damaged}")
    return torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)


def _shapes(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: getattr(value, "shape", None) for name, value in state.items()}


def _on_gpu() -> bool:
    return bool(torch.cuda.is_initialized())
