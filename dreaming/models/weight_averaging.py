"""Exponential moving average of a module's weights."""

import functools
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn


class EmaCallback(WeightAveraging):
    """Lightning's ``WeightAveraging`` with an exponential moving average.

    Differences from ``EMAWeightAveraging``: the average remains in place while other callbacks draw pictures at the end
    of a validation, it is on the module's device, the callback can be pickled for ``ddp_spawn``, and a fit without any
    step keeps its weights.

    Args:
        decay: Weight of the previous average at each step.
    """

    def __init__(self, decay: float) -> None:
        # Torch's own function is a closure, which cannot be pickled.
        super().__init__(multi_avg_fn=functools.partial(_update, decay))

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Create the average on the device of the training."""
        pl_module.to(trainer.strategy.root_device)
        super().setup(trainer, pl_module, stage)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Exchange the weights for their average."""
        super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_start(self, *_: Any) -> None:
        """Do nothing: the exchange takes place when the validation starts and ends."""

    def on_validation_epoch_end(self, *_: Any) -> None:
        """Do nothing: the exchange takes place when the validation starts and ends."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the weights."""
        super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Replace the weights by their average."""
        if trainer.global_step:
            super().on_train_end(trainer, pl_module)


def _update(decay: float, *lists: Any) -> None:
    """Move a list of averages towards a list of values."""
    get_ema_multi_avg_fn(decay)(*lists)  # type: ignore[no-untyped-call]
