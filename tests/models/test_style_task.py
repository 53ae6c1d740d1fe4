"""Training a style: one generator a layer, chosen on held-out patches, used again where it fits."""

import shutil
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from dreaming.clip.config import Layer
from dreaming.clip.layer_masks import LayerMasks
from dreaming.data.frame_pairs import Consistency, FlickerProbe
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.errors import ParameterError
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import BilateralFilter
from dreaming.guides.custom import CustomGuide
from dreaming.guides.propagated import PropagatedGuide
from dreaming.io.frame_folder import FrameFolder
from dreaming.losses.style import STRUCTURE_SIDE, structure_loss
from dreaming.matting.layer_opacity import LayerOpacity
from dreaming.matting.layer_region import LayerRegion
from dreaming.models.style import StyleModule
from dreaming.models.style_task import StyleTask
from dreaming.networks.patch_discriminator import PatchDiscriminator
from dreaming.networks.style_generator import StyleGenerator
from dreaming.stages.filter import FilterStage
from dreaming.stages.guide import GuideStage
from dreaming.stages.stylise import StyliseStage
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.loggers import csv_logger

CONTEXT = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1), {"csv": csv_logger})


def task(max_steps: int = 4, lr: float = 4e-3) -> StyleTask:
    module = partial(
        StyleModule,
        generator=partial(StyleGenerator, filters=(8, 8, 8, 8, 8, 8), blocks=1),
        discriminator=PatchDiscriminator,
        optimizer=torch.optim.Adam,
        lr=lr,
        loss_weights={"pixel": 4.0, "adversarial": 0.5, "matching": 1.0},
    )
    data = partial(KeyframesDataModule, patch=16, batch_size=8, erosion=3)
    return StyleTask("style", module, data, "val/likeness", "max", 2, FitLimits(max_steps))


def test_a_layer_is_trained_once_and_recorded_under_its_name(disc_clip):
    clip = disc_clip().clip
    (layer,) = clip.layers
    best = task().find_or_train(clip, layer, CONTEXT)
    assert best.validation == "holdout"
    assert (clip.runs("style") / f"best-{layer.name}.json").exists()
    assert (best.folder / "validation.png").exists()
    strip = cv2.imread(str(best.folder / "training.png"))
    # Validations at steps 2 and 4 between frame and aim, in windows of the same size.
    assert strip.shape[1] % 4 == 0
    columns = np.hsplit(strip, 4)
    assert np.abs(columns[3].astype(int) - columns[0]).mean() > 5
    assert not np.array_equal(columns[1], columns[2])
    assert task().find_or_train(clip, layer, CONTEXT).folder == best.folder
    assert task(lr=1e-3).find_or_train(clip, layer, CONTEXT).folder != best.folder


def test_the_fingerprint_does_not_depend_on_tiles(disc_clip):
    clip, made = disc_clip().clip, task()
    (layer,) = clip.layers

    def fingerprint(**module):
        changed = replace(made, module=partial(made.module, **module))
        return changed.fingerprint(clip, layer, CONTEXT)

    usual = {"tile": None, "overlap": None}
    assert fingerprint(tile=960, overlap=32) == fingerprint(**usual)
    assert fingerprint(**usual)["task"]["module"].items() >= usual.items()
    assert fingerprint(**usual, lr=1.0) != fingerprint(**usual)


@pytest.mark.parametrize("probe", [None, FlickerProbe(DisFlow(), pairs=2, side=16)])
def test_the_fingerprint_depends_on_unpainted_frames_if_they_are_measured(disc_clip, probe):
    drawing, made = disc_clip(), replace(task(), probe=probe)
    before = made.fingerprint(drawing.clip, Layer("painted"), CONTEXT)
    drawing.save("frames/0006.png", drawing.images["0005"])
    assert (made.fingerprint(drawing.clip, Layer("painted"), CONTEXT) != before) is (probe is not None)


def test_unpainted_frames_are_measured_drawn_and_trained_on(disc_clip):
    clip = disc_clip().clip
    (layer,) = clip.layers
    looked = replace(task(), probe=FlickerProbe(DisFlow(), pairs=2, side=16))
    steadied = replace(looked, consistency=Consistency(DisFlow(), weight=1.0, pairs=2))
    strips, logged = [], []
    for each in (task(), looked, steadied):
        best = each.find_or_train(clip, layer, CONTEXT)
        strips.append(cv2.imread(str(best.folder / "training.png")))
        logged.append((best.folder / "metrics/metrics.csv").read_text().splitlines()[0].split(","))
    assert ["val/flicker" in columns for columns in logged] == [False, True, True]
    assert ["train/loss/consistency" in columns for columns in logged] == [False, False, True]
    # Two probe frames below the windows, which are as wide; they have no aim.
    width = strips[0].shape[1] // 4
    assert strips[1].shape[1] == strips[0].shape[1]
    probes = strips[1][-2 * width :]
    assert not probes[:, -width:].any()
    assert probes[:, :-width].any()
    assert not np.array_equal(probes[:, width : 2 * width], probes[:, 2 * width : 3 * width])


@pytest.mark.slow
def test_stylised_frames_approach_the_painting(disc_clip):
    """The keyframe is a recoloured frame, so that stylised frames have to come nearer to it than the source is."""
    drawing = disc_clip()
    clip = drawing.clip
    (layer,) = clip.layers
    StyliseStage(task(150), CONTEXT).run(clip)
    assert clip.styled(layer).stems == clip.stems
    (stem,) = clip.keyframe_folder(layer).stems
    painted = clip.keyframe_folder(layer).read(stem).astype(float)
    made = np.abs(clip.styled(layer).read(stem) - painted).mean()
    plain = np.abs(clip.frames.read(stem) - painted).mean()
    assert made < 0.5 * plain


def test_subjects_are_layers(disc_clip):
    clip = disc_clip().clip
    assert task().subjects(clip) == [layer.name for layer in clip.layers]
    with pytest.raises(StopIteration):
        task().train(clip, "no such layer", CONTEXT, clip.runs("style") / "x")


def test_guides_are_inputs_of_training_and_inference(disc_clip):
    clip = disc_clip(keyframes=(2, 6)).clip
    (layer,) = clip.layers
    guides = {"carried": PropagatedGuide(DisFlow(), round_trips=1, workers=1)}
    guided = replace(task(), guides=guides)
    assert StyliseStage(guided, CONTEXT).inputs == ("extract", "guide")
    GuideStage(guides, ["carried"]).run(clip)
    StyliseStage(guided, CONTEXT).run(clip)
    assert clip.styled(layer).stems == clip.stems
    best = guided.find_or_train(clip, layer, CONTEXT)
    state = torch.load(best.weights, weights_only=True)["state_dict"]
    assert state["generator.encode_full.0.weight"].shape[1] == 3 + 6
    assert task().find_or_train(clip, layer, CONTEXT).folder != best.folder


def test_the_fingerprint_depends_on_a_guide_s_images(disc_clip, tmp_path):
    drawing = disc_clip(keyframes=(2,))
    clip = drawing.clip
    (layer,) = clip.layers

    def fingerprint(folder):
        return replace(task(), guides={"depth": CustomGuide(folder)}).fingerprint(clip, layer, CONTEXT)

    for stem in clip.stems:
        FrameFolder(tmp_path / "depth").write(stem, np.full((*clip.size, 3), int(stem), np.uint8))
    shutil.copytree(tmp_path / "depth", tmp_path / "moved")
    before = fingerprint(tmp_path / "depth")
    assert fingerprint(tmp_path / "moved") == before
    FrameFolder(tmp_path / "depth").write("0005", np.zeros((*clip.size, 3), np.uint8))
    assert fingerprint(tmp_path / "depth") != before


def test_smoothed_frames_are_trained_on_and_stylised(disc_clip):
    clip = disc_clip(keyframes=(2,)).clip
    (layer,) = clip.layers
    filtered = replace(task(), filtered=True)
    assert StyliseStage(filtered, CONTEXT).inputs == ("extract", "filter")
    FilterStage(DisFlow(), BilateralFilter(radius=2)).run(clip)
    StyliseStage(filtered, CONTEXT).run(clip)
    StyliseStage(task(), CONTEXT).run(replaced := disc_clip("plain", keyframes=(2,)).clip)
    assert filtered.fingerprint(clip, layer, CONTEXT) != task().fingerprint(clip, layer, CONTEXT)
    assert not np.array_equal(clip.styled(layer).read("0005"), replaced.styled(layer).read("0005"))


@pytest.mark.slow
def test_training_can_be_restricted_to_a_layer_s_mask(disc_clip):
    drawing = disc_clip(masks=(1, 4, 8))
    clip = drawing.clip
    (layer,) = clip.layers
    assert layer.part is not None
    # Outside of the disc and what lies around it the keyframe is white; nothing of it may be learnt.
    around = cv2.dilate(drawing.truth["0004"].astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    drawing.save(
        "keyframes/painted/0004.png", np.where(around[..., None], drawing.styled["0004"], 255).astype(np.uint8)
    )
    roi = replace(task(60), roi=LayerRegion(LayerOpacity(LayerMasks(["unet"]), feather=1.0), margin=0.0))
    assert roi.mask_stages == ("mask",)
    assert not task().mask_stages
    assert "mask" in StyliseStage(roi, CONTEXT).inputs
    assert "mask" not in StyliseStage(task(), CONTEXT).inputs
    assert roi.fingerprint(clip, layer, CONTEXT) != task(60).fingerprint(clip, layer, CONTEXT)
    StyliseStage(roi, CONTEXT).run(clip)
    learnt = clip.styled(layer).read("0004")
    StyliseStage(task(60), CONTEXT).run(clip)
    whole = clip.styled(layer).read("0004")
    assert whole[~around].mean() > learnt[~around].mean() + 30
    # A mask painted otherwise is another training; a region without a margin is none at all.
    before = roi.fingerprint(clip, layer, CONTEXT)
    drawing.save("hand_masks/0004.png", drawing.truth["0003"])
    assert roi.fingerprint(drawing.clip, layer, CONTEXT) != before
    assert roi.roi is not None
    cleaned = replace(roi, roi=replace(roi.roi, opacity=replace(roi.roi.opacity, cleanup=[{"grow": 3}])))
    assert cleaned.fingerprint(clip, layer, CONTEXT) != roi.fingerprint(clip, layer, CONTEXT)
    off = replace(task(), roi=LayerRegion(LayerOpacity(LayerMasks(["unet"]))))
    assert off.fingerprint(clip, layer, CONTEXT) == task().fingerprint(clip, layer, CONTEXT)


def test_whole_keyframes_are_trained_on(disc_clip):
    clip = disc_clip(size=(29, 42)).clip
    (layer,) = clip.layers
    whole = replace(task(), data=partial(KeyframesDataModule, patch=None, batch_size=1, erosion=3))
    best = whole.find_or_train(clip, layer, CONTEXT)
    assert best.steps in (2, 4)
    assert cv2.imread(str(best.folder / "training.png")).shape[1] % 4 == 0


@pytest.mark.parametrize(("monitor", "mode"), [("val/flicker", "max"), ("val/quality", "min")])
def test_a_mode_that_selects_the_worst_checkpoint_raises(monitor, mode):
    with pytest.raises(ParameterError) as error:
        replace(task(), monitor=monitor, mode=mode)
    assert (error.value.name, error.value.found) == ("mode", f"{mode} of {monitor}")
    assert replace(task(), monitor=monitor, mode="min" if mode == "max" else "max")
    assert replace(task(), monitor="train/loss", mode="min")


@pytest.mark.parametrize(
    ("patch", "weight", "fits"), [(10, 1.0, False), (11, 1.0, True), (10, 0.0, True), (None, 1.0, True)]
)
def test_patches_smaller_than_the_ssim_window_raise(patch, weight, fits):
    module = partial(task().module, loss_weights={"pixel": 1.0, "structure": weight})
    data = partial(task().data, patch=patch)
    if fits:
        assert replace(task(), module=module, data=data)
        return
    with pytest.raises(ParameterError) as error:
        replace(task(), module=module, data=data)
    assert error.value.name == "data.patch"


@pytest.mark.parametrize(("layers", "least"), [(None, 12), (3, 24), (4, 48)])
def test_patches_too_small_for_the_discriminator_raise(layers, least):
    made, weights = task(), {"adversarial": 0.5}
    discriminator = PatchDiscriminator if layers is None else partial(PatchDiscriminator, layers=layers)
    module = partial(made.module, discriminator=discriminator, loss_weights=weights)
    replace(made, module=module, data=partial(made.data, patch=least))
    too_small = partial(made.data, patch=least - 1)
    with pytest.raises(ParameterError) as error:
        replace(made, module=module, data=too_small)
    assert error.value.name == "data.patch"
    assert error.value.expected.startswith(str(least))
    replace(made, module=partial(module, loss_weights={"pixel": 1.0}), data=too_small)


def test_the_smallest_patch_is_large_enough_for_structure():
    smallest = torch.rand(1, 3, STRUCTURE_SIDE, STRUCTURE_SIDE)
    assert structure_loss(smallest, smallest) == pytest.approx(0, abs=1e-5)
