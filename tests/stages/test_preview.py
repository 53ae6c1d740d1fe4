"""The preview: a range of frames beside the result, rendered where it is not there yet, and kept."""

import json
import logging
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from dreaming.clip.clip import Clip
from dreaming.clip.layer_masks import LayerMasks
from dreaming.data.frame_pairs import Consistency, Probe
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.errors import ConfigError
from dreaming.flow.blending import TemporalBlending
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import BilateralFilter
from dreaming.guides.edges import EdgeGuide
from dreaming.guides.gauss import GaussGuide
from dreaming.guides.propagated import PropagatedGuide
from dreaming.io.manifest import NO_EFFECT, Manifest
from dreaming.io.video_metadata import VideoMetadata
from dreaming.io.video_reader import probe, read_frames
from dreaming.models.style import StyleModule
from dreaming.models.style_task import StyleTask
from dreaming.networks.fast_generator import FastGenerator
from dreaming.stages.base import Stage
from dreaming.stages.composite import CompositeStage
from dreaming.stages.filter import FilterStage
from dreaming.stages.guide import GuideStage
from dreaming.stages.preview import PreviewStage, Stretch
from dreaming.stages.stylise import StyliseStage
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.loggers import csv_logger

GUIDE = GuideStage({"edges": EdgeGuide()}, ["edges"])
FILTER = FilterStage(DisFlow(), BilateralFilter(radius=1))


@dataclass
class Inverting(Stage):
    """In place of a trained style, which takes minutes: every layer is the frame in its opposite colours."""

    name: ClassVar[str] = "stylise"
    reads: ClassVar[tuple[str, ...]] = ("extract",)

    tint: int = 0
    needs: tuple = field(default=(), metadata=NO_EFFECT)
    unlearnt: tuple = field(default=(), metadata=NO_EFFECT)

    @property
    def inputs(self):
        return (*self.reads, *self.needs)

    def required_frames(self, clip, stems):
        return stems

    def training_frames(self, clip):
        return ["0004", *self.unlearnt]

    def untrained_frames(self, clip):
        return self.unlearnt

    def skips(self, clip):
        return None

    def run(self, clip):
        def make(stems):
            return ((stem, 255 - clip.frames.read(stem) - self.tint) for stem in stems)

        for folder, wanted in self.outputs(clip):
            self.complete(clip, folder, clip.stems, lambda wanted=wanted: wanted, lambda _: make)

    def outputs(self, clip):
        for layer in clip.layers:
            yield clip.styled(layer), self.manifest()


def stage(stylise=None, composite=None, guide=GUIDE, **config):
    composite = composite or CompositeStage(["drawn"], feather=0.0)
    return PreviewStage(guide, FILTER, stylise or Inverting(), composite, **config)


def shown(drawing):
    path = drawing.path / "preview.mp4"
    return [image for _, image in read_frames(path)] if path.exists() else []


@pytest.mark.parametrize(
    ("config", "stems"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"frames": 3}, [1, 4, 7]),
        ({"start": 3, "end": 5}, [3, 4, 5]),
        ({"start": 3, "frames": 2}, [3, 6]),
        ({"start": 8}, [8]),
    ],
)
def test_only_the_frames_shown_are_rendered(disc_clip, config, stems):
    drawing = disc_clip(masks=(), size=(32, 64))
    stage(**config).run(drawing.clip)
    assert [int(stem) for stem in drawing.clip.styled(drawing.clip.layers[0]).stems] == stems
    video = shown(drawing)
    assert len(video) == len(stems)
    first = drawing.images[f"{stems[0]:04d}"]
    assert np.abs(video[0] - np.hstack([first, 255 - first]).astype(int)).mean() < 16


def test_what_was_rendered_is_kept_for_the_whole_run(disc_clip):
    drawing = disc_clip(masks=())
    stage(frames=3).run(drawing.clip)
    before = {path: path.stat().st_mtime_ns for path in (drawing.path / "styled/painted").glob("*.png")}
    Inverting().run(drawing.clip)
    assert len(before) == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert drawing.clip.styled(drawing.clip.layers[0]).stems == drawing.stems


def pictures(drawing, *places):
    found = sorted(path for place in places for path in drawing.path.glob(f"{place}/**/*.png"))
    return {str(path.relative_to(drawing.path)): path.read_bytes() for path in found}


def stamps(drawing, *places):
    return {place: (drawing.path / place).stat().st_mtime_ns for place in pictures(drawing, *places)}


@pytest.mark.parametrize("needs", [(), ("guide",), ("filter",), ("filter", "guide")])
def test_guides_and_filtered_frames_are_of_the_frames_that_are_needed(disc_clip, needs):
    shown, whole = (disc_clip(name, masks=()) for name in ("shown", "whole"))
    stage(Inverting(needs=needs), start=6, end=7).run(shown.clip)
    drawn = ["guides/painted/edges/1/0006.png", "guides/painted/edges/1/0007.png"] if "guide" in needs else []
    filtered = [f"filtered/000{number}.png" for number in (4, 6, 7)] if "filter" in needs else []
    assert list(pictures(shown, "guides", "filtered")) == filtered + drawn
    before = stamps(shown, "guides", "filtered")
    stage(Inverting(needs=needs, unlearnt=("0002",)), start=6, end=7).run(shown.clip)
    assert len(pictures(shown, "guides", "filtered")) == len(before) + len(needs), "what is learnt from, as well"
    for made in (GUIDE, FILTER):
        made.run(shown.clip)
        made.run(whole.clip)
    assert pictures(shown, "guides", "filtered") == pictures(whole, "guides", "filtered")
    assert stamps(shown, "guides", "filtered").items() >= before.items()


def test_a_whole_run_after_a_preview_makes_what_it_makes_alone(disc_clip, caplog):
    flow = DisFlow()
    guide = GuideStage({"carried": PropagatedGuide(flow, workers=1)}, ["carried"])
    module = partial(
        StyleModule,
        generator=partial(FastGenerator, width=4, dilations=(1,), means=(2,), pixel_steps=5),
        optimizer=torch.optim.Adam,
        lr=1e-3,
        loss_weights={"pixel": 1.0},
    )
    data = partial(KeyframesDataModule, patch=16, batch_size=2, erosion=3)
    task = StyleTask(
        "style", module, data, "val/likeness", "max", 1, FitLimits(2),
        guides=guide.chosen,
        filtered=True,
        probe=Probe(flow, pairs=1, side=16),
        consistency=Consistency(flow, weight=1.0, pairs=1),
    )  # fmt: skip
    context = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1), {"csv": csv_logger})
    stylise = StyliseStage(task, context, TemporalBlending(flow, sigma=1.0, workers=1))
    shown, whole = (disc_clip(name, count=16, masks=(), keyframes=(2,)) for name in ("shown", "whole"))
    assert task.unpainted(shown.clip) == ["0008", "0009", "0010"]
    stage(stylise, guide=guide, start=4, end=5).run(shown.clip)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    seen = [3, 4, 5, 6, 8, 9, 10]
    assert list(pictures(shown, "filtered")) == [f"filtered/{number:04d}.png" for number in (2, *seen)]
    for picture in ("1", "2"):
        place = f"guides/painted/carried/{picture}"
        assert list(pictures(shown, place)) == [f"{place}/{number:04d}.png" for number in seen]
    folders = ("filtered", "guides", "styled")
    before = stamps(shown, *folders)
    stage(stylise, guide=guide, start=1, end=1).run(shown.clip)
    assert len(pictures(shown, "guides")) == 2 * (2 + len(seen)), "the style is learnt: 0001 and its neighbour"
    for drawing in (shown, whole):
        for made in (FILTER, guide, stylise):
            made.run(drawing.clip)
    assert pictures(shown, *folders) == pictures(whole, *folders)
    assert stamps(shown, *folders).items() >= before.items()
    assert len(list(shown.path.glob("runs/style/*/"))) == 1


def finished(drawing):
    return {
        path.relative_to(drawing.path): path.read_bytes()
        for place in ("styled/**/*", "composite/*", "alpha/**/*", "dream.*")
        for path in drawing.path.glob(place)
        if path.is_file()
    }


@pytest.mark.parametrize("config", [{"tint": 9}, {"feather": 3.0}])
def test_finished_frames_of_another_making_stay(disc_clip, caplog, config):
    drawing = disc_clip(size=(32, 64))
    for stem, mask in drawing.truth.items():
        drawing.save(f"masks/drawn/{stem}.png", mask)
    Manifest("mask", 1, {}, {}).write(drawing.path / "masks/drawn/manifest.json")
    composite = CompositeStage(["drawn"], feather=0.0, alpha=True)
    Inverting().run(drawing.clip)
    composite.run(drawing.clip)
    before = finished(drawing)
    assert len(before) == 3 * 9 + 2
    again = Inverting(config.get("tint", 0)), replace(composite, feather=config.get("feather", 0.0))
    with caplog.at_level(logging.INFO):
        stage(*again).run(drawing.clip)
    assert finished(drawing) == before
    assert "preview: composite holds frames made otherwise, which stay" in caplog.text
    preview_dirs = {str(path.relative_to(drawing.path / "preview")) for path in drawing.path.glob("preview/**/*.png")}
    places = ("styled/painted", "composite") if "tint" in config else ("composite",)
    assert preview_dirs == {f"{place}/{stem}.png" for place in places for stem in drawing.stems}
    right, image = shown(drawing)[3][:, 64:].astype(int), drawing.images["0004"].astype(int)
    if "tint" in config:
        styled = 255 - image - config["tint"]
        assert np.abs(right - np.where(drawing.truth["0004"][..., None], styled, image)).mean() < 16
    caplog.clear()
    with caplog.at_level(logging.INFO):
        stage(*again).run(drawing.clip)
    assert not [record for record in caplog.records if record.args and record.args[0] == f"preview/{places[0]}"]


def test_layers_are_patched_together_where_masks_are_there(disc_clip):
    drawing = disc_clip(size=(32, 64))
    stage().run(drawing.clip)
    assert not (drawing.path / "composite").exists(), "without masks the layer fills the frame"
    for stem, mask in drawing.truth.items():
        drawing.save(f"masks/drawn/{stem}.png", mask)
    Manifest("mask", 1, {}, {}).write(drawing.path / "masks/drawn/manifest.json")
    stage().run(drawing.clip)
    right = shown(drawing)[3][:, 64:].astype(int)
    disc, image = drawing.truth["0004"], drawing.images["0004"].astype(int)
    assert np.abs(right - np.where(disc[..., None], 255 - image, image)).mean() < 16


def test_the_video_is_of_reduced_size_and_of_the_clips_time(disc_clip):
    drawing = disc_clip(masks=(), size=(40, 96))
    stage(width=48, frames=4, fps=24.0).run(drawing.clip)
    assert shown(drawing)[0].shape == (20, 96, 3)
    facts = probe(drawing.path / "preview.mp4")
    assert float((facts.pts[1] - facts.pts[0]) * facts.time_base) == pytest.approx(2 / 24)


@pytest.mark.parametrize(("every", "rate"), [(1, 30), (2, 15)])
def test_the_video_runs_as_fast_as_its_source(disc_clip, every, rate):
    drawing = disc_clip(masks=(), count=4)
    for stem in drawing.stems:
        (drawing.path / f"frames/{stem}.png").rename(drawing.path / f"frames/{(int(stem) - 1) * every + 1:05d}.png")
    for picture in (drawing.path / "keyframes/painted").iterdir():
        picture.rename(picture.with_stem(f"{(int(picture.stem) - 1) * every + 1:05d}"))
    source = VideoMetadata("a.mp4", 32, 32, 0, tuple(range(8)), Fraction(1, 30), Fraction(30), sound=False)
    (drawing.path / "source.json").write_text(json.dumps(source.to_json()))
    Manifest("extract", 1, {}, {}).write(drawing.path / "frames/manifest.json")
    stage().run(Clip(drawing.path))
    facts = probe(drawing.path / "preview.mp4")
    assert float((facts.pts[1] - facts.pts[0]) * facts.time_base) == pytest.approx(1 / rate, rel=0.01)


def test_it_needs_what_the_style_needs_and_a_range_of_frames(disc_clip):
    assert stage().inputs == ("extract",)
    assert stage(Inverting(needs=("filter", "guide"))).inputs == ("extract",)
    gauss = GuideStage({"gauss": GaussGuide(DisFlow(), LayerMasks(["drawn"]))}, ["gauss"])
    assert stage(guide=gauss).inputs == ("extract",)
    assert stage(Inverting(needs=("guide",)), guide=gauss).inputs == ("extract", "mask")
    assert stage(Inverting(needs=("mask",))).inputs == ("extract", "mask")
    assert stage().skips(disc_clip("bare", keyframes=()).clip) == "the clip has no keyframes"
    with pytest.raises(ConfigError, match=r"stage\.preview\.start.*1 to 8"):
        stage(start=9).run(disc_clip("short").clip)
    for wrong in ({"start": 0}, {"end": 0}, {"frames": 0}, {"width": 1}):
        with pytest.raises(ConfigError, match=rf"stage\.preview\.{next(iter(wrong))}"):
            stage(**wrong)


def test_a_stretch_has_a_name_of_its_own():
    names = {str(Stretch(start=s, end=e, every=n)) for s in (1, 2) for e in (None, 9) for n in (1, 3)}
    assert len(names) == 8
