"""The strip of pictures over a training: one column a validation, also of a training that was cut off."""

import cv2
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from dreaming.training.image_logging import ContactSheet
from dreaming.training.loggers import finish, wandb_logger

SIDE = 8


class Brightening(pl.LightningModule):
    """Draws what it makes as bright as it has made steps, between a black frame and a white aim."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch, _):
        return (self.weight * batch).sum()

    def validation_step(self, batch, _):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def draw(self, batch):
        panels = [np.full((SIDE, SIDE, 3), level, np.uint8) for level in (0, 10 * self.global_step, 255)]
        return [np.hstack(panels)]


def levels(path):
    return cv2.imread(str(path))[0, SIDE // 2 :: SIDE, 0].tolist()


def fit(folder, steps, columns, checkpoint=None, logger=False):
    data = DataLoader(torch.ones(2), batch_size=1)
    strip = ContactSheet(folder / "training.png", columns=columns)
    trainer = pl.Trainer(
        max_steps=steps, callbacks=[strip], accelerator="cpu", logger=logger, num_sanity_val_steps=0,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Brightening(), data, data, ckpt_path=checkpoint, weights_only=checkpoint is not None)
    trainer.save_checkpoint(folder / "last.ckpt")
    return levels(strip.path)


def test_a_training_that_goes_on_keeps_the_columns_it_had(tmp_path):
    assert fit(tmp_path, 4, 16) == [0, 20, 40, 255]
    assert fit(tmp_path, 8, 16, tmp_path / "last.ckpt") == [0, 20, 40, 60, 80, 255]


def test_a_full_sheet_is_thinned_and_goes_on_at_fewer_validations(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected = fit(whole, 12, 3)
    fit(cut, 8, 3)
    assert fit(cut, 12, 3, cut / "last.ckpt") == expected
    assert len(expected) <= 3 + 2


@pytest.mark.slow
def test_the_strip_is_sent_to_wandb_as_it_stands_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = wandb_logger(save_dir=str(tmp_path), project="dreaming", entity=None, tags=[])
    shown = fit(tmp_path, 4, 16, logger=logger)
    finish(logger)
    (sent,) = tmp_path.glob("wandb/offline-run-*/files/media/images/training_*.png")
    assert levels(sent) == shown == [0, 20, 40, 255]
