"""The recipe by itself, on stacks that are given: what is compared, chosen and kept."""

import json
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from dreaming.data.mask_stack import MaskStacks
from dreaming.data.segmentation import SegmentationDataModule
from dreaming.errors import ParameterError
from dreaming.maskers.fusion_task import FusionTask, FusionVariant
from dreaming.maskers.threshold import ThresholdMasker
from dreaming.models.segmentation import SegmentationModule
from dreaming.networks.fusion_heads import ConvFusion, MeanFusion
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.model_selection import ModelSelection

WORKBENCH = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1))


@dataclass(frozen=True)
class GivenStacks(FusionTask):
    """Fuses one masker that is always right with one that predicts the opposite, or with its equal."""

    alike: bool = field(default=False, kw_only=True)

    def prepare(self, clip, data):
        references = data.references
        right = references.masks.astype(np.uint8) * np.uint8(200) + np.uint8(20)
        found = np.stack([right, right if self.alike else 240 - right], axis=1)
        parts = tuple((stem,) for stem in references.stems)
        return MaskStacks(references, ("right", "wrong"), found, (1,) * len(references), parts)


def task(**config):
    module = partial(SegmentationModule, optimizer=torch.optim.AdamW, loss_weights={"bce": 1.0})
    variants = {"logistic": FusionVariant(ConvFusion, 0.2, 25), "mean": FusionVariant(MeanFusion)}
    config = {"candidates": ["logistic", "mean"], **config}
    data = partial(SegmentationDataModule, crop=24, batch_size=2)
    config = {"maskers": {"right": ThresholdMasker(), "wrong": ThresholdMasker()}, "variants": variants, **config}
    return GivenStacks("ensemble", module, data, "val/jaccard", "max", 25, FitLimits(25), **config)


@pytest.mark.slow
def test_a_form_that_learns_finds_out_whom_to_trust(disc_clip):
    clip = disc_clip(masks=(3, 4, 6)).clip
    best = task().train(clip, "subject", WORKBENCH, clip.runs("ensemble") / "once")
    choice = ModelSelection.read(best.folder)
    assert choice.chosen == "logistic"
    assert choice.scores["right"] == [1.0, 1.0, 1.0]
    assert choice.scores["wrong"] == [0.0, 0.0, 0.0]
    assert best.score == choice.score == pytest.approx(1.0)
    assert best.steps == 25
    assert list(choice.stems) == ["0003", "0004", "0006"]
    assert task().find(clip, task().training_data(clip, "subject"), WORKBENCH) == best


def test_no_form_is_fitted_for_more_steps_than_the_budget_has(disc_clip):
    clip = disc_clip(masks=(3, 4, 6)).clip
    short = replace(task(variant="logistic"), limits=FitLimits(2))
    best = short.train(clip, "subject", WORKBENCH, clip.runs("ensemble") / "once")
    assert best.steps == 2
    outcome = json.loads((best.folder / "variants" / "logistic" / "fit.json").read_text())
    assert outcome["steps"] == 2


@pytest.mark.slow
def test_each_score_comes_from_a_fit_without_that_frame(disc_clip):
    clip = disc_clip(masks=(3, 4, 6)).clip
    best = task(variant="logistic").train(clip, "subject", WORKBENCH, clip.runs("ensemble") / "once")
    for number, stem in enumerate(("0003", "0004", "0006"), start=1):
        fold = best.folder / "variants" / "logistic" / f"fold-{number}"
        learnt = json.loads((fold / "fingerprint.json").read_text())["trained_on"]
        assert learnt == [other for other in ("0003", "0004", "0006") if other != stem]
        assert task(variant="logistic").fold_checkpoint(best, [stem]).is_relative_to(fold)
    assert task(variant="logistic").fold_checkpoint(best, ["0003", "0008"]).is_relative_to(best.folder)
    assert task(variant="logistic").fold_checkpoint(best, ["0008"]) is None
    assert task(variant="logistic").fold_checkpoint(best, ["0003", "0006"]) is None, "fold 1 has learnt from 0006"


def test_of_maskers_that_do_as_well_the_more_trusted_one_is_chosen(disc_clip):
    clip = disc_clip(masks=(3, 4, 6)).clip
    for weight, chosen in ((0.3, "right"), (5.0, "wrong")):
        made = task(candidates=[], prior_weight={"wrong": weight}, alike=True)
        best = made.train(clip, "subject", WORKBENCH, clip.runs("ensemble") / chosen)
        assert ModelSelection.read(best.folder).chosen == chosen


def test_without_anything_to_learn_a_masker_alone_beats_the_mean(disc_clip):
    clip = disc_clip(masks=(3, 4, 6)).clip
    best = task(candidates=["mean"]).train(clip, "subject", WORKBENCH, clip.runs("ensemble") / "once")
    assert ModelSelection.read(best.folder).chosen == "right"
    assert best.steps == 0
    assert best.weights.exists()


def test_forms_begin_with_the_weights_given():
    made = task(prior_weight={"right": 3.0}).build("mean")
    torch.testing.assert_close(made.network.initial_weights.flatten(), torch.tensor([0.75, 0.25]))


def test_what_is_no_form_is_refused():
    with pytest.raises(ParameterError) as caught:
        task(candidates=["gatd"])
    assert (caught.value.name, caught.value.found) == ("candidates", "gatd")
    assert task(variant="right").variant == "right"
    with pytest.raises(ParameterError) as caught:
        task(maskers={"mean": ThresholdMasker()})
    assert (caught.value.name, caught.value.found) == ("maskers", "mean")
