"""Pictures of what a model does with data it has not learnt from, in the run folder and in W&B."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
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
        width: Of the sheet at most, in pixels.
    """

    def __init__(self, path: Path, count: int = 6, width: int = 640) -> None:
        self.path, self.count, self.width = path, count, width

    @torch.no_grad()
    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Draw."""
        loaders = trainer.val_dataloaders
        if not loaders or not isinstance(pl_module, Drawing) or not trainer.is_global_zero:
            return
        pl_module.eval()
        drawn: list[Image] = []
        for batch in loaders:
            drawn += pl_module.draw(trainer.strategy.batch_to_device(batch))
            if len(drawn) >= self.count:
                break
        pl_module.train()
        sheet = np.vstack(drawn[: self.count])
        if sheet.shape[1] > self.width:
            height = round(sheet.shape[0] * self.width / sheet.shape[1])
            sheet = cv2.resize(sheet, (self.width, height), interpolation=cv2.INTER_AREA)
        write_atomically(self.path, encode_png(sheet))
        for logger in trainer.loggers:
            send(logger, [self.path])


def send(logger: Logger, paths: Sequence[Path], name: str = "validation") -> None:
    """Log pictures under a name, where the logger takes any."""
    there = [str(path) for path in paths if path.exists()]
    if there and isinstance(logger, WandbLogger):
        logger.log_image(name, there)
