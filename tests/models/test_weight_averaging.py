"""The exponential moving average: its value, where it is used, and that it survives a resume."""

import pickle

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from torch.utils.data import DataLoader

from dreaming.models.weight_averaging import EmaCallback


class Linear(LightningModule):
    """One weight that grows by 1 with each step, and its value in each validation."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1, bias=False)
        self.register_buffer("steps", torch.zeros(()))
        torch.nn.init.zeros_(self.layer.weight)
        self.validated, self.drawn = [], []

    def training_step(self, batch, batch_idx):
        self.steps += 1
        return -self.layer.weight.sum()

    def validation_step(self, batch, batch_idx):
        self.validated.append((self.layer.weight.item(), float(self.steps)))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


class Draw(Callback):
    """Use the module at the end of a validation, as callbacks that draw pictures do."""

    def on_validation_end(self, trainer, module):
        module.drawn.append(module.layer.weight.item())


def fit(folder, steps, *, module=None, callbacks=(), ckpt_path=None):
    module = module or Linear()
    trainer = Trainer(
        max_steps=steps,
        callbacks=[Draw(), EmaCallback(0.5), *callbacks],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        val_check_interval=2,
        default_root_dir=folder,
    )
    loader = DataLoader([torch.zeros(1)] * 8)
    trainer.fit(module, loader, DataLoader([torch.zeros(1)]), ckpt_path=ckpt_path, weights_only=True)
    return module


EXPECTED = [1.0, 1.5, 2.25, 3.125]  # weights 1, 2, 3, 4; the first update copies them


def test_the_average_is_validated_drawn_and_kept(tmp_path):
    module = fit(tmp_path, 4)
    assert module.validated == [(EXPECTED[1], EXPECTED[1]), (EXPECTED[3], EXPECTED[3])]
    assert module.drawn == [EXPECTED[1], EXPECTED[3]]
    assert module.layer.weight.item() == EXPECTED[3]


class SaveInFit(Callback):
    """Write a checkpoint after the second step."""

    def __init__(self, path):
        self.path = path

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx == 1:
            trainer.save_checkpoint(self.path)


def test_a_checkpoint_contains_the_average_and_resumes(tmp_path):
    save = SaveInFit(tmp_path / "cut.ckpt")
    fit(tmp_path, 2, callbacks=[save])
    assert torch.load(save.path, weights_only=True)["state_dict"]["layer.weight"].item() == EXPECTED[1]
    resumed = fit(tmp_path, 4, ckpt_path=save.path)
    assert resumed.layer.weight.item() == EXPECTED[3]


def test_a_fit_without_steps_keeps_its_weights(tmp_path):
    class Fitted(Linear):
        def on_fit_start(self):
            torch.nn.init.constant_(self.layer.weight, 7.0)

    module = fit(tmp_path, 0, module=Fitted())
    assert module.layer.weight.item() == pytest.approx(7.0)


def test_it_can_be_sent_to_other_processes():
    assert pickle.dumps(EmaCallback(0.5))
