"""The stylise stage: the same frames in shards, after an interruption and in batches, with and without blending."""

from dataclasses import replace
from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from dreaming.artifacts.manifest import Manifest
from dreaming.artifacts.shard import Shard
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import TemporalBlending
from dreaming.models.style import StyleModule
from dreaming.models.style_task import StyleTask
from dreaming.networks.fast_generator import FastGenerator
from dreaming.stages.stylise import StyliseStage
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.loggers import csv_logger

CONTEXT = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1), {"csv": csv_logger})
BLEND = TemporalBlending(DisFlow(), sigma=1.0, colour_sigma=60.0, workers=1)
MODULE = partial(
    StyleModule,
    generator=partial(FastGenerator, width=4, dilations=(1,), means=(2,), pixel_steps=5),
    optimizer=torch.optim.Adam,
    lr=1e-3,
    loss_weights={"pixel": 1.0},
)
DATA = partial(KeyframesDataModule, patch=16, batch_size=2, erosion=3)
STAGE = StyliseStage(StyleTask("style", MODULE, DATA, "val/likeness", "max", 1, FitLimits(2)), CONTEXT)


def files(clip):
    clip.styled(clip.layers[0]).refresh()
    return {stem: path.read_bytes() for stem, path in clip.styled(clip.layers[0]).files.items()}


@pytest.fixture
def clip(disc_clip):
    return disc_clip(masks=()).clip


def test_batches_equal_single_frames(clip):
    STAGE.run(clip)
    single = files(clip)
    assert list(single) == clip.stems
    for path in clip.styled(clip.layers[0]).files.values():
        path.unlink()
    replace(STAGE, batch=3).run(clip)
    assert files(clip) == single


def test_blended_frames_are_the_same_in_shards_and_after_an_interruption(clip):
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


def test_frames_are_remade_only_if_blending_changes(clip):
    STAGE.run(clip)
    path = clip.styled(clip.layers[0]).path / "manifest.json"
    before = Manifest.read(path)
    off = replace(STAGE, blend=TemporalBlending(DisFlow(), sigma=None))
    off.run(clip)
    assert off.frames_made == 0
    replace(STAGE, blend=BLEND).run(clip)
    assert before != Manifest.read(path)
    assert len(list(clip.runs("style").glob("*/fit.json"))) == 1, "trained once"


def test_a_changed_keyframe_is_named(disc_clip, caplog):
    drawing = disc_clip(masks=())
    STAGE.run(drawing.clip)
    drawing.save("keyframes/painted/0004.png", drawing.styled["0004"] // 2)
    caplog.set_level("INFO", "dreaming.artifacts.folder")
    STAGE.run(drawing.clip)
    assert ("styled/painted", "keyframes/painted/0004.png") in [record.args for record in caplog.records]


def test_the_manifest_is_known_before_the_frames_are_made(clip):
    STAGE.run(clip)
    for stage, same in ((STAGE, True), (replace(STAGE, blend=BLEND), False)):
        ((folder, wanted),) = stage.outputs(clip)
        assert (Manifest.read(folder.path / "manifest.json") == wanted) == same


def test_good_quality_adds_strokes_without_a_new_training(clip):
    draft, good = (replace(STAGE, quality=quality) for quality in ("draft", "good"))
    draft.run(clip)
    painted = files(clip)
    good.run(clip)
    strokes = files(clip)
    assert list(strokes) == list(painted) == clip.stems
    assert strokes != painted
    assert len(list(clip.runs("style").glob("*/fit.json"))) == 1, "trained once"
    replace(good, strokes=replace(good.strokes, workers=1)).run(clip)
    assert files(clip) == strokes
    changed = replace(good, strokes=replace(good.strokes, max_gain=1.0))
    manifests = [next(stage.outputs(clip))[1] for stage in (draft, good, changed)]
    assert len({manifest.fingerprint for manifest in manifests}) == 3
    draft.run(clip)
    assert files(clip) == painted
