"""The preview stage: a range of frames beside the result, made where missing, and kept."""

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

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.artifacts.manifest import Manifest
from dreaming.clip.clip import Clip
from dreaming.clip.layer_masks import LayerMasks
from dreaming.data.frame_pairs import Consistency, FlickerProbe
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.errors import ClipError, ParameterError
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import BilateralFilter, TemporalBlending
from dreaming.guides.edges import EdgeGuide
from dreaming.guides.gauss import GaussGuide
from dreaming.guides.propagated import PropagatedGuide
from dreaming.instantiation.validation import find_problem, parameters_of
from dreaming.matting.smoothing import MatteSmoothing
from dreaming.models.style import StyleModule
from dreaming.models.style_task import StyleTask
from dreaming.networks.fast_generator import FastGenerator
from dreaming.stages.base import Stage
from dreaming.stages.composite import CompositeStage
from dreaming.stages.filter import FilterStage
from dreaming.stages.guide import GuideStage
from dreaming.stages.matte import MatteStage
from dreaming.stages.preview import NamedFrames, PreviewStage
from dreaming.stages.stylise import StyliseStage
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.loggers import csv_logger
from dreaming.video.metadata import VideoMetadata
from dreaming.video.reader import probe, read_frames

GUIDE = GuideStage({"edges": EdgeGuide()}, ["edges"])
FILTER = FilterStage(DisFlow(), BilateralFilter(radius=1))


@dataclass(frozen=True)
class Training:
    """Stand-in for a training task."""

    limits: FitLimits
    validate_every: int = 1


@dataclass
class Inverting(Stage):
    """Stand-in for a trained style, which takes minutes: every layer is the inverted frame."""

    name: ClassVar[str] = "stylise"
    reads: ClassVar[tuple[str, ...]] = ("extract",)

    tint: int = 0
    further: tuple = field(default=(), metadata=NO_EFFECT)
    untrained: tuple = field(default=(), metadata=NO_EFFECT)
    trained: bool = field(default=True, metadata=NO_EFFECT)
    task: Training = field(default=Training(FitLimits(2)), metadata=NO_EFFECT)

    @property
    def inputs(self):
        return (*self.reads, *self.further)

    def is_trained(self, clip):
        return self.trained

    def required_frames(self, clip, stems):
        return stems

    def training_frames(self, clip):
        return ["0004", *self.untrained]

    def untrained_frames(self, clip):
        return self.untrained

    def skips(self, clip):
        return None

    def run(self, clip):
        def make(stems):
            return ((stem, 255 - clip.frames.read(stem) - self.tint) for stem in stems)

        for folder, wanted in self.outputs(clip):
            (clip.path / "steps").write_text(str(self.task.limits.max_steps))
            self.complete(clip, folder, clip.stems, lambda wanted=wanted: wanted, lambda _: make)

    def outputs(self, clip):
        for layer in clip.layers:
            yield clip.styled(layer), self.manifest()


def stage(stylise=None, composite=None, guide=GUIDE, **config):
    composite = composite or CompositeStage(["drawn"], feather=0.0)
    matte = MatteStage(["drawn"], MatteSmoothing(DisFlow(), None), method=composite.matte)
    return PreviewStage(guide, FILTER, stylise or Inverting(), composite, matte, **config)


def video_frames(drawing):
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
def test_only_the_shown_frames_are_rendered(disc_clip, config, stems):
    drawing = disc_clip(masks=(), size=(32, 64))
    stage(**config).run(drawing.clip)
    assert [int(stem) for stem in drawing.clip.styled(drawing.clip.layers[0]).stems] == stems
    video = video_frames(drawing)
    assert len(video) == len(stems)
    first = drawing.images[f"{stems[0]:04d}"]
    assert np.abs(video[0] - np.hstack([first, 255 - first]).astype(int)).mean() < 16


@pytest.mark.parametrize("composited", [False, True])
def test_existing_results_are_shown_instead_of_training(disc_clip, composited):
    drawing = disc_clip(masks=(), size=(32, 64))
    for stem in ("0002", "0003", "0007"):
        drawing.save(f"styled/painted/{stem}.png", drawing.images[stem])
    if composited:
        drawing.save("composite/0003.png", drawing.styled["0003"])
    before = sorted(drawing.path.rglob("*.png"))
    stage(Inverting(trained=False)).run(drawing.clip)
    video = video_frames(drawing)
    assert len(video) == (1 if composited else 3)
    shown = drawing.styled["0003"] if composited else drawing.images["0002"]
    assert np.abs(video[0][:, 64:] - shown.astype(int)).mean() < 16
    assert sorted(drawing.path.rglob("*.png")) == before


@pytest.mark.parametrize(
    ("trained", "limit", "steps", "folder"),
    [(False, 900, 5, "preview/styled"), (False, 4, 4, "styled"), (True, 900, 900, "styled")],
)
def test_a_briefly_trained_style_paints_into_the_preview_s_folder(disc_clip, trained, limit, steps, folder):
    drawing = disc_clip(masks=(), size=(32, 64))
    made = stage(Inverting(trained=trained, task=Training(FitLimits(limit))), frames=2, steps=5)
    made.run(drawing.clip)
    assert (drawing.path / "steps").read_text() == str(steps)
    assert list(images(drawing, "styled", "preview/styled")) == [f"{folder}/painted/000{n}.png" for n in (1, 5)]
    before = times(drawing, "preview")
    made.run(drawing.clip)
    assert times(drawing, "preview") == before


def test_rendered_frames_are_kept_for_the_whole_run(disc_clip):
    drawing = disc_clip(masks=())
    stage(frames=3).run(drawing.clip)
    before = {path: path.stat().st_mtime_ns for path in (drawing.path / "styled/painted").glob("*.png")}
    Inverting().run(drawing.clip)
    assert len(before) == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert drawing.clip.styled(drawing.clip.layers[0]).stems == drawing.stems


def images(drawing, *folders):
    found = sorted(path for folder in folders for path in drawing.path.glob(f"{folder}/**/*.png"))
    return {str(path.relative_to(drawing.path)): path.read_bytes() for path in found}


def times(drawing, *folders):
    return {name: (drawing.path / name).stat().st_mtime_ns for name in images(drawing, *folders)}


@pytest.mark.parametrize("needs", [(), ("guide",), ("filter",), ("filter", "guide")])
def test_guides_and_smoothed_frames_are_made_where_needed(disc_clip, needs):
    shown, whole = (disc_clip(name, masks=()) for name in ("shown", "whole"))
    stage(Inverting(further=needs), start=6, end=7).run(shown.clip)
    drawn = ["guides/painted/edges/1/0006.png", "guides/painted/edges/1/0007.png"] if "guide" in needs else []
    filtered = [f"filtered/000{number}.png" for number in (4, 6, 7)] if "filter" in needs else []
    assert list(images(shown, "guides", "filtered")) == filtered + drawn
    before = times(shown, "guides", "filtered")
    stage(Inverting(further=needs, untrained=("0002",)), start=6, end=7).run(shown.clip)
    assert len(images(shown, "guides", "filtered")) == len(before) + len(needs), "also the frames of training"
    for made in (GUIDE, FILTER):
        made.run(shown.clip)
        made.run(whole.clip)
    assert images(shown, "guides", "filtered") == images(whole, "guides", "filtered")
    assert times(shown, "guides", "filtered").items() >= before.items()


@pytest.mark.slow
def test_a_whole_run_after_a_preview_equals_one_without(disc_clip, caplog):
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
        guides=guide.selected,
        filtered=True,
        probe=FlickerProbe(flow, pairs=1, side=16),
        consistency=Consistency(flow, weight=1.0, pairs=1),
    )  # fmt: skip
    context = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1), {"csv": csv_logger})
    stylise = StyliseStage(task, context, TemporalBlending(flow, sigma=1.0, workers=1))
    shown, whole = (disc_clip(name, count=16, masks=(), keyframes=(2,)) for name in ("shown", "whole"))
    assert task.unpainted(shown.clip) == ["0008", "0009", "0010"]
    stage(stylise, guide=guide, start=4, end=5).run(shown.clip)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    seen = [3, 4, 5, 6, 8, 9, 10]
    assert list(images(shown, "filtered")) == [f"filtered/{number:04d}.png" for number in (2, *seen)]
    for part in ("1", "2"):
        folder = f"guides/painted/carried/{part}"
        assert list(images(shown, folder)) == [f"{folder}/{number:04d}.png" for number in seen]
    folders = ("filtered", "guides", "styled")
    before = times(shown, *folders)
    stage(stylise, guide=guide, start=1, end=1).run(shown.clip)
    assert len(images(shown, "guides")) == 2 * (2 + len(seen)), "the style is trained already: 0001 and its neighbour"
    for drawing in (shown, whole):
        for made in (FILTER, guide, stylise):
            made.run(drawing.clip)
    assert images(shown, *folders) == images(whole, *folders)
    assert times(shown, *folders).items() >= before.items()
    assert len(list(shown.path.glob("runs/style/*/"))) == 1


def finished(drawing):
    return {
        path.relative_to(drawing.path): path.read_bytes()
        for pattern in ("styled/**/*", "composite/*", "alpha/**/*", "dream.*")
        for path in drawing.path.glob(pattern)
        if path.is_file()
    }


@pytest.mark.parametrize("config", [{"tint": 9}, {"feather": 3.0}])
def test_finished_frames_of_another_config_stay(disc_clip, config):
    drawing = disc_clip(size=(32, 64))
    for stem, mask in drawing.truth.items():
        drawing.save(f"masks/drawn/{stem}.png", mask)
    Manifest("mask", 1, {}, {}).write(drawing.path / "masks/drawn/manifest.json")
    composite = CompositeStage(["drawn"], feather=0.0, alpha=True)
    Inverting().run(drawing.clip)
    composite.run(drawing.clip)
    before = finished(drawing)
    assert len(before) == 3 * 9 + 2
    again = Inverting(tint=config.get("tint", 0)), replace(composite, feather=config.get("feather", 0.0))
    stage(*again).run(drawing.clip)
    assert finished(drawing) == before
    preview_dirs = {str(path.relative_to(drawing.path / "preview")) for path in drawing.path.glob("preview/**/*.png")}
    folders = ("styled/painted", "composite") if "tint" in config else ("composite",)
    assert preview_dirs == {f"{folder}/{stem}.png" for folder in folders for stem in drawing.stems}
    right, image = video_frames(drawing)[3][:, 64:].astype(int), drawing.images["0004"].astype(int)
    if "tint" in config:
        styled = 255 - image - config["tint"]
        assert np.abs(right - np.where(drawing.truth["0004"][..., None], styled, image)).mean() < 16
    made = times(drawing, "preview")
    stage(*again).run(drawing.clip)
    assert times(drawing, "preview") == made


def test_layers_are_composited_once_masks_exist(disc_clip):
    drawing = disc_clip(size=(32, 64))
    stage().run(drawing.clip)
    assert not (drawing.path / "composite").exists(), "without masks the layer fills the frame"
    for stem, mask in drawing.truth.items():
        drawing.save(f"masks/drawn/{stem}.png", mask)
    Manifest("mask", 1, {}, {}).write(drawing.path / "masks/drawn/manifest.json")
    stage().run(drawing.clip)
    right = video_frames(drawing)[3][:, 64:].astype(int)
    disc, image = drawing.truth["0004"], drawing.images["0004"].astype(int)
    assert np.abs(right - np.where(disc[..., None], 255 - image, image)).mean() < 16


def test_the_video_has_a_reduced_size_and_the_clip_s_rate(disc_clip):
    drawing = disc_clip(masks=(), size=(40, 96))
    stage(width=48, frames=4, fps=24.0).run(drawing.clip)
    assert video_frames(drawing)[0].shape == (20, 96, 3)
    metadata = probe(drawing.path / "preview.mp4")
    assert float((metadata.pts[1] - metadata.pts[0]) * metadata.time_base) == pytest.approx(2 / 24)


@pytest.mark.parametrize(("every", "rate"), [(1, 30), (2, 15)])
def test_the_video_has_the_source_s_rate(disc_clip, every, rate):
    drawing = disc_clip(masks=(), count=4)
    for stem in drawing.stems:
        (drawing.path / f"frames/{stem}.png").rename(drawing.path / f"frames/{(int(stem) - 1) * every + 1:05d}.png")
    for path in (drawing.path / "keyframes/painted").iterdir():
        path.rename(path.with_stem(f"{(int(path.stem) - 1) * every + 1:05d}"))
    source = VideoMetadata("a.mp4", 32, 32, 0, tuple(range(8)), Fraction(1, 30), Fraction(30), sound=False)
    (drawing.path / "source.json").write_text(json.dumps(source.to_json()))
    Manifest("extract", 1, {}, {}).write(drawing.path / "frames/manifest.json")
    stage().run(Clip(drawing.path))
    metadata = probe(drawing.path / "preview.mp4")
    assert float((metadata.pts[1] - metadata.pts[0]) * metadata.time_base) == pytest.approx(1 / rate, rel=0.01)


def test_a_video_that_somebody_changed_is_kept(disc_clip):
    drawing = disc_clip(masks=(), size=(32, 64))
    path = drawing.path / "preview.mp4"
    path.write_bytes(b"mine")
    stage().run(drawing.clip)
    assert (drawing.path / "preview.mp4.kept-1").read_bytes() == b"mine"
    assert probe(path).count == 8


def test_its_inputs_are_those_of_the_style(disc_clip):
    assert stage().inputs == ("extract",)
    assert stage(Inverting(further=("filter", "guide"))).inputs == ("extract",)
    gauss = GuideStage({"gauss": GaussGuide(DisFlow(), LayerMasks(["drawn"]))}, ["gauss"])
    assert stage(guide=gauss).inputs == ("extract",)
    assert stage(Inverting(further=("guide",)), guide=gauss).inputs == ("extract", "mask")
    assert stage(Inverting(further=("mask",))).inputs == ("extract", "mask")
    assert stage().skips(disc_clip("bare", keyframes=()).clip) is not None


def test_a_range_without_frames_is_refused(disc_clip):
    clip = disc_clip().clip
    stage(start=8).check(clip)
    with pytest.raises(ClipError) as refused:
        stage(start=9).check(clip)
    assert refused.value.where == str(clip.frames.path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start", 0),
        ("frames", 0),
        ("steps", 0),
        ("width", 15),
        ("fps", 0),
        ("crf", -1),
    ],
)
def test_values_out_of_range_do_not_fit(name, value):
    assert find_problem(value, parameters_of(PreviewStage).hints[name])


@pytest.mark.parametrize(("wrong", "name"), [({"start": 3, "end": 2}, "end"), ({"preset": "warp"}, "preset")])
def test_parameters_that_do_not_fit_are_refused(wrong, name):
    with pytest.raises(ParameterError) as refused:
        stage(**wrong)
    assert refused.value.name == name


def test_different_selections_have_different_locks():
    selections = [("0001", "0003"), ("0001", "0002", "0003"), ("0001", "0002"), ("0003",)]
    assert len({str(NamedFrames(names=names)) for names in selections}) == 4
