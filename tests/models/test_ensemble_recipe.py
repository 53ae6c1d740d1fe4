"""The recipe by itself, on stacks that are given: what is compared, chosen and kept."""

import json
from dataclasses import dataclass, replace
from functools import partial

import lightning
import numpy as np
import pytest
import torch

from dreaming.data.mask_stack import MaskStackDataModule, MaskStacks
from dreaming.errors import ConfigError
from dreaming.models.choice import Choice
from dreaming.models.ensemble import EnsembleModule
from dreaming.models.ensemble_recipe import EnsembleRecipe, Form, StackSource
from dreaming.models.fit import Budget, Workbench
from dreaming.networks.mask_mixer import Convolution, Mean

WORKBENCH = Workbench(partial(lightning.Trainer, accelerator="cpu", devices=1))


@dataclass(frozen=True)
class Given(StackSource):
    """One masker that is always right, and one that says the opposite."""

    reverse: bool = False

    @property
    def names(self):
        return ("right", "wrong")

    def stacks(self, clip, references, left_out=()):
        right = references.masks.astype(np.uint8) * np.uint8(200) + np.uint8(20)
        found = np.stack([right, 240 - right], axis=1)
        parts = tuple((stem,) for stem in references.stems)
        return MaskStacks(references, self.names, found, (1,) * len(references), parts)

    def learnt(self, clip, references, left_out=()):
        return {"stems": " ".join(references.stems)}


def recipe(**config):
    module = partial(EnsembleModule, optimizer=torch.optim.AdamW, loss_weights={"bce": 1.0})
    forms = {"logistic": Form(Convolution, 0.2, 25), "mean": Form(Mean)}
    config = {"candidates": ["logistic", "mean"], **config}
    data = partial(MaskStackDataModule, crop=24, batch_size=2)
    return EnsembleRecipe(
        "ensemble", module, data, "val/jaccard", "max", 25, Budget(25), source=Given(), forms=forms, **config
    )


def test_a_form_that_learns_finds_out_whom_to_trust(disc_clip):
    clip = disc_clip(masks=(3, 4, 6)).clip
    best = recipe().train(clip, "subject", WORKBENCH, clip.runs("ensemble") / "once")
    choice = Choice.read(best.folder)
    assert choice.chosen == "logistic"
    assert choice.scores["right"] == [1.0, 1.0, 1.0]
    assert choice.scores["wrong"] == [0.0, 0.0, 0.0]
    assert best.score == choice.score == pytest.approx(1.0)
    assert best.steps == 25
    assert list(choice.stems) == ["0003", "0004", "0006"]
    assert recipe().find(clip, clip.references("subject", choice.stems), WORKBENCH) == best


def test_no_form_is_fitted_for_more_steps_than_the_budget_has(disc_clip):
    clip = disc_clip(masks=(3, 4, 6)).clip
    short = replace(recipe(form="logistic"), budget=Budget(2))
    best = short.train(clip, "subject", WORKBENCH, clip.runs("ensemble") / "once")
    assert best.steps == 2
    outcome = json.loads((best.folder / "forms" / "logistic" / "outcome.json").read_text())
    assert outcome["steps"] == 2


def test_each_score_comes_from_a_fit_without_that_frame(disc_clip):
    clip = disc_clip(masks=(3, 4, 6)).clip
    best = recipe(form="logistic").train(clip, "subject", WORKBENCH, clip.runs("ensemble") / "once")
    for number, stem in enumerate(("0003", "0004", "0006"), start=1):
        fold = best.folder / "forms" / "logistic" / f"fold-{number}"
        learnt = json.loads((fold / "identity.json").read_text())["learn"]
        assert learnt == [other for other in ("0003", "0004", "0006") if other != stem]
        assert recipe(form="logistic").fold_checkpoint(best, [stem]).is_relative_to(fold)
    assert recipe(form="logistic").fold_checkpoint(best, ["0003", "0008"]).is_relative_to(best.folder)
    assert recipe(form="logistic").fold_checkpoint(best, ["0008"]) is None
    assert recipe(form="logistic").fold_checkpoint(best, ["0003", "0006"]) is None, "fold 1 has learnt from 0006"


@dataclass(frozen=True)
class Alike(Given):
    """Two maskers that find the same."""

    def stacks(self, clip, references, left_out=()):
        found = super().stacks(clip, references, left_out)
        return replace(found, found=found.found[:, [0, 0]])


def test_of_maskers_that_do_as_well_the_more_trusted_one_is_chosen(disc_clip):
    clip = disc_clip(masks=(3, 4, 6)).clip
    for weight, chosen in ((0.3, "right"), (5.0, "wrong")):
        made = replace(recipe(candidates=[], trust={"wrong": weight}), source=Alike())
        best = made.train(clip, "subject", WORKBENCH, clip.runs("ensemble") / chosen)
        assert Choice.read(best.folder).chosen == chosen


def test_without_anything_to_learn_a_masker_alone_beats_the_mean(disc_clip):
    clip = disc_clip(masks=(3, 4, 6)).clip
    best = recipe(candidates=["mean"]).train(clip, "subject", WORKBENCH, clip.runs("ensemble") / "once")
    assert Choice.read(best.folder).chosen == "right"
    assert best.steps == 0
    assert best.weights.exists()


def test_a_masker_without_weight_is_refused():
    with pytest.raises(ConfigError, match=r"model\.ensemble\.trust\.wrong: found 0"):
        recipe(trust={"wrong": 0})


def test_forms_begin_with_the_weights_given():
    made = recipe(trust={"right": 3.0}).build("mean")
    torch.testing.assert_close(made.network.share.flatten(), torch.tensor([0.75, 0.25]))


def test_what_is_no_form_is_refused():
    with pytest.raises(ConfigError, match=r"model\.ensemble\.candidates: found no form 'gatd'"):
        recipe(candidates=["gatd"])
    assert recipe(form="right").form == "right"
