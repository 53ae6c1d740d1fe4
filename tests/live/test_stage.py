"""The live stage: a style of its own, without inputs from the whole clip."""

import logging
from functools import partial

import pytorch_lightning as pl
import torch

from dreaming.data.keyframes import KeyframesDataModule
from dreaming.flow.dis import DisFlow
from dreaming.guides.edges import EdgeGuide
from dreaming.guides.propagated import PropagatedGuide
from dreaming.live.choice import NAME, SMOOTHED, find_style, guides_of
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
GUIDES = {"motion": PropagatedGuide(DisFlow()), "edges": EdgeGuide()}
TASK = StyleTask("style", MODULE, DATA, "val/likeness", "max", 1, FitLimits(1), guides=GUIDES, filtered=True)


def test_inputs_from_the_whole_clip_are_left_out_and_named(disc_clip, caplog):
    clip = disc_clip(masks=()).clip
    stage = LiveStage(TASK, CONTEXT)
    assert "guide" not in stage.inputs
    with caplog.at_level(logging.INFO, "dreaming.live.stage"):
        stage.run(clip)
    assert f"guide motion, {SMOOTHED}" in [record.args[0] for record in caplog.records if record.args]
    best = find_style(clip, "painted")
    assert best.folder == clip.runs(NAME)
    assert guides_of(best) == [EdgeGuide()]
    assert not clip.runs("style").exists()
    assert not clip.styled(clip.layers[0]).path.exists()
    stage.run(clip)
    assert find_style(clip, "painted").weights == best.weights
