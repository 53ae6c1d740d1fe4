"""The filter stage: every frame once, equal in shards, remade when its config changes."""

import logging
import shutil
from types import SimpleNamespace

import pytest

from dreaming.artifacts.shard import Shard
from dreaming.errors import SpaceError
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import BilateralFilter
from dreaming.stages.filter import FilterStage


def files(drawing):
    return {path.name: path.read_bytes() for path in (drawing.path / "filtered").glob("*.png")}


def stamps(drawing):
    return [path.stat().st_mtime_ns for path in sorted((drawing.path / "filtered").glob("*.png"))]


def test_shards_together_equal_one_run(disc_clip):
    whole, shared = (disc_clip(name, masks=(), keyframes=()) for name in ("whole", "shared"))
    FilterStage(DisFlow()).run(whole.clip)
    assert whole.clip.filtered.stems == whole.stems
    for index in (2, 1):
        FilterStage(DisFlow(), shard=Shard(index, 2)).run(shared.clip)
    assert files(shared) == files(whole)


def test_a_shard_computes_only_the_flow_that_it_needs(disc_clip, caplog):
    drawing = disc_clip(masks=(), keyframes=())
    FilterStage(DisFlow(), BilateralFilter(radius=2), shard=Shard(4, 4)).run(drawing.clip)
    assert sorted(files(drawing)) == ["0007.png", "0008.png"]
    assert sorted(path.stem for path in drawing.path.glob("flow/*.png")) == ["0005", "0006", "0007"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_disk_that_cannot_hold_the_frames_is_refused_before_any_work(disc_clip, monkeypatch):
    drawing = disc_clip(masks=(), keyframes=())
    FlowCache(drawing.clip, DisFlow()).complete()  # which is announced itself
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(SpaceError):
        FilterStage(DisFlow()).run(drawing.clip)
    assert not files(drawing)


def test_only_another_config_remakes_frames(disc_clip):
    drawing = disc_clip(masks=(), keyframes=())
    FilterStage(DisFlow(), BilateralFilter(radius=2)).run(drawing.clip)
    made = stamps(drawing)
    FilterStage(DisFlow(), BilateralFilter(radius=2, workers=1)).run(drawing.clip)
    assert stamps(drawing) == made
    before = files(drawing)
    FilterStage(DisFlow(), BilateralFilter(radius=1)).run(drawing.clip)
    assert files(drawing) != before


def test_keyframes_can_be_paired_with_smoothed_frames(disc_clip):
    clip = disc_clip(masks=(), keyframes=(4,)).clip
    FilterStage(DisFlow()).run(clip)
    (layer,) = clip.layers
    plain, filtered = clip.keyframes(layer), clip.keyframes(layer, clip.filtered)
    assert (filtered.sources[0] == clip.filtered.read("0004")).all()
    assert (plain.sources[0] == clip.frames.read("0004")).all()
    assert (plain.sources != filtered.sources).any()


def test_a_single_frame_is_its_own_mean(disc_clip):
    clip = disc_clip(count=1, masks=(), keyframes=()).clip
    assert FilterStage(DisFlow()).skips(clip) is None
    FilterStage(DisFlow()).run(clip)
    assert (clip.filtered.read("0001") == clip.frames.read("0001")).all()
