"""Stop a training as soon as its loss, score or weights are not finite."""

import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from dreaming.errors import DivergenceError
from dreaming.training.callbacks import steps_done


class DivergenceStop(Callback):
    """Raise a ``DivergenceError`` before weights that are not finite are saved, used or drawn with.

    Args:
        title: Title of the fit, for the message.
        monitor: Name of the logged score.
        key: Config key of the learning rate, the most likely cause.
    """

    def __init__(self, title: str, monitor: str, key: str) -> None:
        self.title, self.monitor, self.key = title, monitor, key

    def on_train_batch_end(self, trainer: pl.Trainer, _: pl.LightningModule, outputs: Any, *__: Any) -> None:
        """Check the loss of the step."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if loss is not None:
            self._check(trainer, "the loss", float(loss))

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Check the weights, the score and, because a score can be finite even for predictions of NaN, the loss."""
        self._check_weights(trainer, module)
        for name in ("val/loss", self.monitor):
            if name in trainer.callback_metrics:
                self._check(trainer, name, float(trainer.callback_metrics[name]))

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Check the weights, before checkpoints are written."""
        self._check_weights(trainer, module)

    def _check_weights(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not is_finite(module):
            self._check(trainer, "a weight", math.nan)

    def _check(self, trainer: pl.Trainer, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise DivergenceError(
                self.key,
                found=f"{name} is {value} after step {steps_done(trainer)} of {self.title}",
                expected="finite numbers throughout the training",
                hint="lower this learning rate",
            )


def is_finite(module: torch.nn.Module) -> bool:
    """Whether all weights and buffers are finite."""
    return all(bool(tensor.isfinite().all()) for tensor in module.state_dict().values() if tensor.is_floating_point())
