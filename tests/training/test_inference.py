"""Inference runs where and as precisely as the trainer's config says."""

from functools import partial

import pytorch_lightning as pl
import torch

from dreaming.training.context import TrainingContext
from dreaming.training.devices import has_fast_bfloat16, suited_trainer
from dreaming.training.inference import prepare_inference


class Product(pl.LightningModule):
    def forward(self, x):
        return x @ x


def test_the_precision_of_the_trainer_holds_in_the_block():
    for precision, kind in (("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)):
        trainer = partial(pl.Trainer, accelerator="cpu", devices=1, precision=precision)
        runner = prepare_inference(Product(), TrainingContext(trainer))
        assert runner.device.type == "cpu"
        with runner.forward_context():
            assert torch.is_inference_mode_enabled()
            assert Product()(torch.ones(2, 2)).dtype == kind
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")


def test_the_suited_trainer_takes_half_precision_where_it_is_fast():
    trainer = suited_trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False)
    assert trainer.precision == ("bf16-mixed" if has_fast_bfloat16() else "32-true")
