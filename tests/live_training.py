"""A training for live view that takes a second."""

from dataclasses import replace
from functools import partial

import pytorch_lightning as pl
import torch

from dreaming.data.keyframes import KeyframesDataModule
from dreaming.live.stage import LiveStage
from dreaming.models.style import StyleModule
from dreaming.models.style_task import StyleTask
from dreaming.networks.fast_generator import FastGenerator
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.loggers import csv_logger

CONTEXT = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1), {"csv": csv_logger})
MODULE = partial(
    StyleModule,
    generator=partial(FastGenerator, width=4, dilations=(1,), means=(2,), pixel_steps=2),
    optimizer=torch.optim.Adam,
    lr=1e-3,
    loss_weights={"pixel": 1.0},
)
DATA = partial(KeyframesDataModule, patch=16, batch_size=2, erosion=3)
TASK = StyleTask("style", MODULE, DATA, "val/likeness", "max", 1, FitLimits(1))


def live_stage(**changes):
    """Build the stage for a tiny network, with some values of the training replaced."""
    return LiveStage(replace(TASK, **changes), CONTEXT)
