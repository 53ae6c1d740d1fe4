"""Fits that diverge: they stop before anything of them is kept."""

import functools
import math

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from dreaming.errors import CheckpointError, DivergenceError
from dreaming.training.checkpoints import load
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.fit import fit
from dreaming.training.task import TrainingTask


class Line(pl.LightningModule):
    """Learns y = 2x."""

    def __init__(self, lr=0.1, score=0.0, spoilt_at=None):
        super().__init__()
        self.layer, self.lr, self.score, self.spoilt_at = torch.nn.Linear(1, 1), lr, score, spoilt_at

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)

    def training_step(self, batch, index):
        return ((self.layer(batch[0]) - 2 * batch[0]) ** 2).mean()

    def on_train_batch_end(self, outputs, batch, index):
        if index == self.spoilt_at:
            self.layer.weight.data.fill_(math.nan)

    def validation_step(self, batch, index):
        self.log("val/error", self.score)


class Numbers(pl.LightningDataModule):
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.linspace(-1, 1, 16)[:, None]), batch_size=4)

    val_dataloader = train_dataloader


class LineTask(TrainingTask):
    subjects = training_data = subject_of = fingerprint = plan = cross_validate = None


TASK = LineTask("line", Line, Numbers, "val/error", "min", 4, FitLimits(4))
TRAINER = functools.partial(pl.Trainer, accelerator="cpu", devices=1, logger=False)


@pytest.mark.parametrize(
    ("wrong", "reason", "validate"),
    [
        ({"lr": 1e30}, "loss is inf after step 2", True),
        ({"lr": 1e30}, "loss is inf after step 2", False),
        ({"score": math.nan}, "val/error is nan", True),
        ({"spoilt_at": 3}, "weight", True),
        ({"spoilt_at": 3}, "weight", False),
    ],
)
def test_a_fit_stops_at_what_is_not_finite(tmp_path, wrong, reason, validate):
    with pytest.raises(DivergenceError) as stopped:
        fit(
            TASK,
            TrainingContext(TRAINER),
            tmp_path,
            module=functools.partial(Line, **wrong),
            data=Numbers,
            validate=validate,
            fingerprint={"task": "a line"},
            title="line",
        )
    assert stopped.value.where == "model.line.module.lr"
    assert reason in stopped.value.found
    assert not list(tmp_path.rglob("*.ckpt"))
    assert not (tmp_path / "fit.json").exists()


def test_weights_that_are_not_finite_are_not_loaded(tmp_path):
    module = Line()
    module.layer.weight.data.fill_(math.nan)
    torch.save({"state_dict": module.state_dict()}, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError):
        load(Line(), tmp_path / "last.ckpt")
