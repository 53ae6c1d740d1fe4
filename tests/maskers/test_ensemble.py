"""The ensemble: it learns whom to trust from masks that nobody had seen, and falls back on the best masker alone."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from onnx_model import onnx_model

from dreaming.artifacts.fingerprint import describe
from dreaming.data.segmentation import SegmentationDataModule
from dreaming.errors import ParameterError
from dreaming.flow.dis import DisFlow
from dreaming.io.frame_folder import FrameFolder
from dreaming.maskers.base import Masker
from dreaming.maskers.ensemble import EnsembleMasker
from dreaming.maskers.fusion_task import FusionTask, FusionVariant
from dreaming.maskers.out_of_fold import out_of_fold, plan_cross_validation
from dreaming.maskers.prediction_cache import PredictionCache
from dreaming.maskers.pretrained.onnx import OnnxMasker
from dreaming.models.segmentation import SegmentationModule
from dreaming.networks.fusion_heads import ConvFusion, GatedFusion, MeanFusion, UNetFusion
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.model_selection import ModelSelection

WORKBENCH = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1))


@dataclass
class Half(Masker):
    """Knows the truth on one side of the frame, and says the same all over the other; ``noise`` spoils both."""

    truth: str
    left: bool = True
    elsewhere: float = 0.6
    noise: float = 0.0

    def fit(self, clip, references):
        return self

    def predict(self, clip, stems: Iterable[str]):
        for stem in stems:
            mask = FrameFolder(clip.path / self.truth).read_mask(stem).astype(np.float32)
            known = (np.arange(mask.shape[1]) < mask.shape[1] // 2) == self.left
            found = np.where(known, mask * 0.9 + 0.05, self.elsewhere)
            random = np.random.default_rng(int(stem)).random(mask.shape) < self.noise
            yield stem, np.where(random, 1 - found, found).astype(np.float32)


def task(maskers, **config):
    module = partial(SegmentationModule, optimizer=torch.optim.AdamW, loss_weights={"bce": 1.0, "dice": 1.0})
    variants = {
        "gated": FusionVariant(GatedFusion, 0.2, 20),
        "logistic": FusionVariant(ConvFusion, 0.1, 20),
        "mean": FusionVariant(MeanFusion),
    }
    config = {"candidates": ["gated", "mean"], "variants": variants, **config}
    data = partial(SegmentationDataModule, crop=32, batch_size=4)
    return FusionTask("ensemble", module, data, "val/jaccard", "max", 60, FitLimits(60), maskers=maskers, **config)


@pytest.fixture
def drawing(disc_clip):
    drawn = disc_clip(count=9, masks=(1, 3, 5, 7, 9))
    for stem, mask in drawn.truth.items():
        drawn.save(f"truth/{stem}.png", mask)
    return drawn


def ensemble(maskers, **config):
    return EnsembleMasker(task(maskers, **config), WORKBENCH)


def fitted(clip, masker):
    refs = clip.references("subject", clip.split("subject").nn)
    return masker.fit(clip, refs), refs


def jaccard(found, truth):
    return ((found > 0.5) & truth).sum() / ((found > 0.5) | truth).sum()


@pytest.mark.slow
def test_two_halves_make_a_whole(drawing):
    """Where a masker is unsure the other knows; a mean of probabilities would side with the one that says 0.6."""
    masker, _ = fitted(drawing.clip, ensemble({"left": Half("truth"), "right": Half("truth", left=False)}))
    for stem, probability in masker.predict(drawing.clip, drawing.stems):
        assert probability.dtype == np.float32
        assert jaccard(probability, drawing.truth[stem]) > 0.95, stem
    choice = ModelSelection.read(masker._weights.parents[3])
    assert choice.score > max(np.mean(choice.scores["left"]), np.mean(choice.scores["right"])) + 0.2


@pytest.mark.slow
def test_who_agrees_with_itself_is_looked_at_whatever_is_asked_for(drawing):
    maskers = {"left": Half("truth"), "right": Half("truth", left=False, noise=0.3)}
    masker, refs = fitted(drawing.clip, ensemble(maskers, variant="gated", flow=DisFlow(scale=1.0)))
    stacks = masker.task.prepare(drawing.clip, masker.task.data_of(drawing.clip, refs))
    assert stacks.inconsistency.any(axis=(0, 2, 3)).all()
    asked = dict(masker.predict(drawing.clip, ["0004"]))
    whole = dict(masker.predict(drawing.clip, drawing.stems))
    np.testing.assert_array_equal(asked["0004"], whole["0004"])
    blind, _ = fitted(drawing.clip, ensemble(maskers, variant="gated"))
    assert not np.array_equal(dict(blind.predict(drawing.clip, ["0004"]))["0004"], asked["0004"])


def test_a_mean_asks_for_no_neighbouring_frames(drawing):
    left = Half("truth")
    masker, refs = fitted(drawing.clip, ensemble({"left": left}, variant="mean", flow=DisFlow(scale=1.0)))
    assert len(list(masker.predict(drawing.clip, ["0004"]))) == 1
    assert list(PredictionCache(drawing.clip, "left", left, refs).folder.stems) == ["0004"]


def test_the_unet_of_the_first_program_mixes_whole_frames(drawing):
    valid = FusionVariant(partial(UNetFusion, depth=1, width=2, padding="none", norm="none"), 0.01, 2)
    masker, _ = fitted(
        drawing.clip, ensemble({"left": Half("truth")}, variants={"unet": valid}, candidates=[], variant="unet")
    )
    (found,) = dict(masker.predict(drawing.clip, ["0004"])).values()
    assert found.shape == drawing.clip.size


def test_a_masker_that_is_better_alone_is_taken_alone(drawing, caplog):
    good, bad = Half("truth", elsewhere=0.0), Half("truth", noise=0.5)
    with caplog.at_level("INFO"):
        masker, _ = fitted(drawing.clip, ensemble({"good": good, "bad": bad}, candidates=["mean"], tolerance=0.0))
    assert ModelSelection.read(masker._weights.parents[2]).chosen == "good"
    found = dict(masker.predict(drawing.clip, ["0002"]))
    expected = dict(good.predict(drawing.clip, ["0002"]))
    assert np.abs(found["0002"] - expected["0002"]).max() <= 0.5 / 255


def test_the_choice_can_be_overruled(drawing):
    masker, _ = fitted(drawing.clip, ensemble({"left": Half("truth"), "bad": Half("truth", noise=0.5)}, variant="mean"))
    found = dict(masker.predict(drawing.clip, ["0004"]))["0004"]
    maps = [
        np.rint(dict(each.predict(drawing.clip, ["0004"]))["0004"] * 255) / 255 for each in masker.base_maskers.values()
    ]
    assert np.abs(found - np.clip(np.mean(maps, axis=0), 0.01, 0.99)).max() < 1e-3


def test_at_a_left_out_mask_nothing_has_learnt_from_it(drawing):
    """The mixer that predicts there is the one of the fold, over maskers of the fold."""
    masker, refs = fitted(
        drawing.clip, ensemble({"left": Half("truth"), "right": Half("truth", left=False)}, variant="gated")
    )
    given = plan_cross_validation(drawing.clip, refs)
    folders = out_of_fold(drawing.clip, "ensemble", masker, refs, given)
    assert len({folder.path for folder in folders.values()}) == 3
    masker.fit_without(drawing.clip, refs, refs.select(["0005"]))
    assert "fold-2" in str(masker._weights)
    assert masker._left_out.stems == ("0005",)


@pytest.mark.parametrize("held_out", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_whatever_is_left_out_the_mixer_has_learnt_from_none_of_it(disc_clip, held_out):
    """Others may leave out more masks at once than the mixer did when it was chosen, or not the same together."""
    count, masks = (12, range(1, 13)) if held_out else (9, (1, 3, 4, 6, 9))
    drawing = disc_clip(count=count, masks=tuple(masks))
    for stem, mask in drawing.truth.items():
        drawing.save(f"truth/{stem}.png", mask)
    clip = drawing.clip
    masker, refs = fitted(
        clip, ensemble({"left": Half("truth"), "right": Half("truth", left=False)}, variant="logistic")
    )
    known = plan_cross_validation(clip, refs).references
    for left_out in (known.stems[:1], known.stems[:2]):
        masker.fit_without(clip, refs, known.select(left_out))
        learnt = json.loads((masker._weights.parents[1] / "fingerprint.json").read_text())["trained_on"]
        assert learnt, "the mixer learnt from others"
        assert not set(learnt) & set(left_out)


def test_it_is_trained_once_and_loaded_after(drawing):
    maskers = {"left": Half("truth"), "right": Half("truth", left=False)}
    first = ensemble(maskers, variant="gated")
    refs = drawing.clip.references("subject", drawing.clip.split("subject").nn)
    assert first.fitted_fingerprint(drawing.clip, refs) == "untrained"
    masks = dict(first.fit(drawing.clip, refs).predict(drawing.clip, ["0002"]))
    stamp = first._weights.stat().st_mtime_ns
    again = ensemble(maskers, variant="gated").fit(drawing.clip, refs)
    assert again._weights.stat().st_mtime_ns == stamp
    assert np.array_equal(dict(again.predict(drawing.clip, ["0002"]))["0002"], masks["0002"])
    assert again.fitted_fingerprint(drawing.clip, refs) == first.fitted_fingerprint(drawing.clip, refs) != "untrained"


def test_frames_read_ahead_make_no_mask_again():
    maskers = {"left": Half("truth")}
    few, many = (EnsembleMasker(task(maskers), WORKBENCH, workers=workers) for workers in (1, 8))
    assert describe(few) == describe(many)


def test_a_form_that_is_none_is_refused():
    with pytest.raises(ParameterError) as caught:
        task({"left": Half("truth")}, variant="unett")
    assert (caught.value.name, caught.value.found) == ("variant", "unett")
    with pytest.raises(ParameterError) as caught:
        task({"left": None})
    assert caught.value.name == "maskers"


def test_nothing_of_the_forward_call_stays_active_in_the_consumer(drawing):
    context = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1, precision="bf16-mixed"))
    maskers = {"left": Half("truth"), "right": Half("truth", left=False)}
    masker, _ = fitted(drawing.clip, EnsembleMasker(task(maskers, variant="mean"), context))
    for _ in masker.predict(drawing.clip, drawing.stems[:2]):
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.slow
def test_pretrained_networks_are_weighed_like_other_maskers(drawing):
    """A network for red things against a masker that knows half of the frame, and against one that knows nothing."""
    model = drawing.path / "red.onnx"
    model.write_bytes(onnx_model())
    model.with_suffix(".yaml").write_text("{size: [16, 24], mean: [0.5, 0.5, 0.5], std: [1, 1, 1], output: 1}")
    red = OnnxMasker(str(model))
    for other, scores in ((Half("truth"), 0.9), (Half("truth", noise=0.5), 0.8)):
        masker, _ = fitted(drawing.clip, ensemble({"half": other, "onnx": red}))
        choice = ModelSelection.read(next(drawing.path.glob("runs/ensemble/*/choice.json")).parent)
        assert np.mean(choice.scores["onnx"]) > 0.8
        for stem, probability in masker.predict(drawing.clip, drawing.stems):
            assert jaccard(probability, drawing.truth[stem]) > scores, stem
