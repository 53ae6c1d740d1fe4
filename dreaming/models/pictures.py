"""Pictures of what a model does with data it has not learnt from, in the run folder and in W&B."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, WandbLogger

from dreaming.frames.arrays import Image
from dreaming.frames.folder import encode_png, write_atomically

log = logging.getLogger(__name__)

PICTURES = "validation.png"


@runtime_checkable
class Drawing(Protocol):
    """A module that can show what it does."""

    def draw(self, batch: Any) -> list[Image]:
        """One picture (H, W, 3) for each sample of a validation batch."""


class Pictures(Callback):
    """At the end of a fit, draw the validation samples and keep them as one sheet.

    Args:
        path: The sheet.
        count: Samples at most.
    """

    def __init__(self, path: Path, count: int = 6) -> None:
        self.path, self.count = path, count

    @torch.no_grad()
    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Draw."""
        loaders = trainer.val_dataloaders
        if not loaders or not isinstance(pl_module, Drawing) or not trainer.is_global_zero:
            return
        pl_module.eval()
        drawn: list[Image] = []
        for batch in loaders:
            on_device = trainer.strategy.batch_to_device(batch)
            hook = trainer.datamodule.on_after_batch_transfer  # type: ignore[attr-defined]
            drawn += pl_module.draw(hook(on_device, 0))
            if len(drawn) >= self.count:
                break
        pl_module.train()
        write_atomically(self.path, encode_png(np.vstack(drawn[: self.count])))
        for logger in trainer.loggers:
            send(logger, [self.path])


def send(logger: Logger, paths: Sequence[Path]) -> None:
    """Log pictures, where the logger takes any."""
    there = [str(path) for path in paths if path.exists()]
    if there and isinstance(logger, WandbLogger):
        logger.log_image("validation", there)


def overlay(image: Image, found: np.ndarray[Any, Any], truth: np.ndarray[Any, Any] | None = None) -> Image:
    """A frame with the found mask laid over it in green, and where it departs from the truth in red.

    Args:
        image: (H, W, 3).
        found: (H, W) bool.
        truth: (H, W) bool.
    """
    picture = image.astype(np.float32)
    picture[found] = picture[found] * 0.5 + np.array([0, 255, 0]) * 0.5
    if truth is not None:
        wrong = found != truth
        picture[wrong] = image[wrong] * 0.3 + np.array([255, 0, 0]) * 0.7
    return picture.astype(np.uint8)
