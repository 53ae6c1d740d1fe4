"""Callbacks that draw a model's predictions for the run folder and W&B."""

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger, WandbLogger

from dreaming.io.atomic import write_atomically
from dreaming.io.image import decode, encode_png
from dreaming.io.types import Image

log = logging.getLogger(__name__)

PICTURES = "validation.png"
STRIP = "training.png"


@runtime_checkable
class Drawing(Protocol):
    """A module that can draw its predictions."""

    def draw(self, batch: Any) -> list[Image]:
        """Draw one picture (H, W, 3) for each sample of a validation batch."""


@runtime_checkable
class PairDrawing(Protocol):
    """A module that draws frames without a target, which are in a second validation dataloader."""

    def draw_pair(self, batch: Any) -> list[Image]:
        """Draw the frames of a batch, two panels (H, 2 W, 3) each: the frame and the prediction."""


class Pictures(Callback):
    """Draws up to ``count`` validation samples as one sheet, at most ``width`` pixels wide, at the end of a fit."""

    def __init__(self, path: Path, count: int = 6, width: int = 640) -> None:
        self.path, self.count, self.width = path, count, width

    @torch.no_grad()
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the sheet."""
        loaders = validation_loaders(trainer)
        if not loaders or not isinstance(pl_module, Drawing) or not trainer.is_global_zero:
            return
        pl_module.eval()
        drawn: list[Image] = []
        for batch in loaders[0]:
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


class ContactSheet(Callback):
    """Adds a column of predictions for fixed windows to a sheet after each validation.

    The first column shows the frame and the last one the ground truth, so that a user sees when further training no
    longer helps. Frames without a keyframe follow below, with a black ground truth. At most ``columns`` validations,
    spread over the fit, are kept, of ``count`` windows of ``width`` pixels. For modules that draw three panels: frame,
    prediction and ground truth.
    """

    def __init__(self, path: Path, count: int = 4, columns: int = 16, width: int = 96) -> None:
        self.path, self.count, self.columns, self.width = path, count, columns, width
        self._drawn: list[Image] = []
        self._seen, self._every = 0, 1

    @torch.no_grad()
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw a column; once the sheet is full, only after every second, fourth, ... validation."""
        loaders = validation_loaders(trainer)
        if not loaders or not isinstance(pl_module, Drawing) or not trainer.is_global_zero:
            return
        self._seen += 1
        if (self._seen - 1) % self._every:
            return
        pictures = pl_module.draw(trainer.strategy.batch_to_device(next(iter(loaders[0]))))[: self.count]
        panels = [np.hsplit(sheet, 3) for sheet in pictures]
        if isinstance(pl_module, PairDrawing) and len(loaders) > 1:
            for pair in itertools.islice(loaders[1], self.count):
                for sheet in pl_module.draw_pair(trainer.strategy.batch_to_device(pair)):
                    frame, made = np.hsplit(sheet, 2)
                    panels.append([frame, made, np.zeros_like(made)])
        frame, made, aim = (self._column([row[index] for row in panels]) for index in range(3))
        self._drawn.append(made)
        if len(self._drawn) > self.columns:
            self._drawn, self._every = self._drawn[::2], 2 * self._every
        write_atomically(self.path, encode_png(np.hstack([frame, *self._drawn, aim])))

    def state_dict(self) -> dict[str, int]:
        """State for the checkpoint; the sheet itself is in the run folder."""
        width = self._drawn[0].shape[1] if self._drawn else 0
        return {"seen": self._seen, "every": self._every, "drawn": len(self._drawn), "width": width}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Restore the columns of the sheet."""
        self._seen, self._every = state_dict["seen"], state_dict["every"]
        if state_dict["drawn"] and self.path.exists():
            sheet = cv2.cvtColor(decode(self.path), cv2.COLOR_BGR2RGB)
            columns = np.split(sheet, range(state_dict["width"], sheet.shape[1], state_dict["width"]), axis=1)
            self._drawn = columns[1:-1][: state_dict["drawn"]]

    def on_train_end(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        """Log the sheet."""
        for logger in trainer.loggers:
            send(logger, [self.path], "training")

    def _column(self, windows: list[Image]) -> Image:
        width = min(self.width, max(window.shape[1] for window in windows))
        sizes = [(width, round(window.shape[0] * width / window.shape[1])) for window in windows]
        return np.vstack(
            [cv2.resize(w, size, interpolation=cv2.INTER_AREA) for w, size in zip(windows, sizes, strict=True)]
        )


def validation_loaders(trainer: pl.Trainer) -> list[Any]:
    """Return the validation dataloaders as a list, which is empty without validation."""
    loaders = trainer.val_dataloaders
    return loaders if isinstance(loaders, list) else [loaders] if loaders else []


def send(logger: Logger, paths: Sequence[Path], name: str = "validation") -> None:
    """Log existing pictures if the logger is W&B's."""
    there = [str(path) for path in paths if path.exists()]
    if there and isinstance(logger, WandbLogger):
        for number, path in enumerate(there, start=1):  # W&B warns of pictures of different sizes under one name
            logger.log_image(name if len(there) == 1 else f"{name}/{number}", [path])
