"""The stylise stage: the same frames in shards, after a cut and in batches; blended ones too."""

from dataclasses import replace
from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from dreaming.data.keyframes import KeyframesDataModule
from dreaming.errors import ConfigError
from dreaming.flow.blending import TemporalBlending
from dreaming.flow.dis import DisFlow
from dreaming.guides.storage import GuideStack
from dreaming.io.manifest import Manifest
from dreaming.io.shard import Shard
from dreaming.models.style import StyleModule
from dreaming.models.style_task import StyleTask
from dreaming.networks.fast_generator import FastGenerator
from dreaming.stages.stylise import StyliseStage
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.loggers import csv_logger

WORKBENCH = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1), {"csv": csv_logger})
BLEND = TemporalBlending(DisFlow(), sigma=1.0, colour_sigma=60.0, workers=1)
MODULE = partial(
    StyleModule,
    generator=partial(FastGenerator, width=4, dilations=(1,), means=(2,), pixel_steps=5),
    optimizer=torch.optim.Adam,
    lr=1e-3,
    loss_weights={"pixel": 1.0},
)
DATA = partial(KeyframesDataModule, patch=16, batch_size=2, erosion=3)
STAGE = StyliseStage(StyleTask("style", MODULE, DATA, "val/likeness", "max", 1, FitLimits(2)), WORKBENCH)


def files(clip):
    clip.styled(clip.layers[0]).refresh()
    return {stem: path.read_bytes() for stem, path in clip.styled(clip.layers[0]).files.items()}


@pytest.fixture
def clip(disc_clip):
    return disc_clip(masks=()).clip


def test_batches_make_what_single_frames_make(clip):
    STAGE.run(clip)
    single = files(clip)
    assert list(single) == clip.stems
    for path in clip.styled(clip.layers[0]).files.values():
        path.unlink()
    replace(STAGE, batch=3).run(clip)
    assert files(clip) == single


def test_blended_frames_are_the_same_in_shards_and_after_a_cut(clip):
    STAGE.run(clip)
    plain = files(clip)
    blended = replace(STAGE, blend=BLEND)
    blended.run(clip)
    whole = files(clip)
    assert list(whole) == clip.stems
    assert whole != plain
    for stem, path in clip.styled(clip.layers[0]).files.items():
        if stem in ("0002", "0003", "0007"):
            path.unlink()
    blended.run(clip)
    assert files(clip) == whole
    (clip.styled(clip.layers[0]).path / "manifest.json").unlink()
    for index in (2, 1):
        replace(blended, shard=Shard(index, 2)).run(clip)
    assert files(clip) == whole


def test_frames_are_made_again_where_blending_changes_and_only_there(clip):
    STAGE.run(clip)
    path = clip.styled(clip.layers[0]).path / "manifest.json"
    before = Manifest.read(path)
    off = replace(STAGE, blend=TemporalBlending(DisFlow(), sigma=None))
    off.run(clip)
    assert off.frames_made == 0
    replace(STAGE, blend=BLEND).run(clip)
    assert before != Manifest.read(path)
    assert len(list(clip.runs("style").glob("*/fit.json"))) == 1, "trained once"


def test_what_its_frames_depend_on_is_known_before_they_are_made(clip):
    STAGE.run(clip)
    for stage, same in ((STAGE, True), (replace(STAGE, blend=BLEND), False)):
        ((folder, wanted),) = stage.outputs(clip)
        assert (Manifest.read(folder.path / "manifest.json") == wanted) == same


def test_no_frames_at_once_is_refused():
    with pytest.raises(ConfigError, match=r"stage\.stylise\.batch"):
        replace(STAGE, batch=0)


def test_nothing_of_the_forward_call_stays_active_in_the_consumer(clip):
    context = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1, precision="bf16-mixed"))
    stage = replace(STAGE, context=context)
    frames = stage._frames(clip, GuideStack(clip, clip.layers[0], {}), stage.task.build(), clip.stems[:2])
    for _ in frames:
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")
