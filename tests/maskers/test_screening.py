"""Networks are screened by one fold: what is left out of the ensemble, and what is not trained."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from dreaming.data.segmentation import SegmentationDataModule
from dreaming.imaging.morphology import Cleaning
from dreaming.maskers.base import Masker
from dreaming.maskers.ensemble import EnsembleMasker
from dreaming.maskers.fusion_task import FusionTask, FusionVariant
from dreaming.maskers.network import NetworkMasker
from dreaming.maskers.out_of_fold import plan_cross_validation
from dreaming.maskers.screening import screen
from dreaming.maskers.segmentation_task import SegmentationTask
from dreaming.maskers.threshold import ThresholdMasker
from dreaming.models.segmentation import SegmentationModule
from dreaming.networks.cnn import CNN
from dreaming.networks.fusion_heads import MeanFusion
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.model_selection import ModelSelection

CONTEXT = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1))
MODULE = partial(SegmentationModule, optimizer=torch.optim.AdamW, loss_weights={"bce": 1.0})
DATA = partial(SegmentationDataModule, crop=24, batch_size=2)


def everywhere():
    """A masker that is not trained, and takes the whole frame for the subject."""
    bounds = {"hue": (0, 255), "saturation": (0, 255), "value": (0, 255)}
    return ThresholdMasker(bounds=bounds, cleaning=Cleaning(None, None, None, None))


@dataclass
class Costly(Masker):
    """Predicts given masks, and records what it is fitted without."""

    masks: dict = field(default_factory=dict)
    left_out: list = field(default_factory=list)

    def can_fit_fold(self, clip, references, folds):
        return True

    def fit_fold(self, clip, references, left_out):
        self.left_out.append(left_out.stems)
        return self

    def fit(self, clip, references):
        raise AssertionError("all fits are made")

    def predict(self, clip, stems):
        return ((stem, self.masks[stem].astype(np.float32)) for stem in stems)


@pytest.fixture
def drawing(disc_clip):
    return disc_clip(count=9, masks=(1, 3, 5, 7, 9))


@pytest.mark.parametrize(("useful", "dropped"), [(True, set()), (False, {"costly"})])
def test_a_masker_is_dropped_if_it_adds_nothing_to_the_best_other_one(drawing, useful, dropped):
    clip = drawing.clip
    references = clip.training_references("subject")
    masks = {stem: mask & useful for stem, mask in drawing.truth.items()}
    costly = Costly(masks)
    plan = plan_cross_validation(clip, references)
    found = screen(clip, "ensemble", {"plain": everywhere(), "costly": costly}, references, plan, 0.002)
    assert found.keys() == dropped
    areas = {stem: drawing.truth[stem].sum() for stem in ("0003", "0005", "0007")}
    assert costly.left_out == [(min(areas, key=areas.get),)]


def test_a_mask_at_an_end_decides_only_if_none_lies_between_others(disc_clip):
    """With three masks all three are scored, and the one at an end is the hardest one for a masker of the frame."""
    drawing = disc_clip(count=9, masks=(1, 5, 9))
    references = drawing.clip.training_references("subject")
    plan = plan_cross_validation(drawing.clip, references)
    assert plan.references.stems == ("0001", "0005", "0009")
    costly = Costly(drawing.truth)
    screen(drawing.clip, "ensemble", {"plain": everywhere(), "costly": costly}, references, plan, 0.002)
    assert costly.left_out == [("0005",)]


def test_nothing_is_dropped_without_another_masker(drawing):
    references = drawing.clip.training_references("subject")
    plan = plan_cross_validation(drawing.clip, references)
    assert screen(drawing.clip, "ensemble", {"costly": Costly()}, references, plan, 0.002) == {}


@pytest.mark.slow
@pytest.mark.parametrize(("screening_gain", "folds"), [(1.0, 1), (None, 3)])
def test_a_dropped_network_is_trained_in_one_fold_and_used_nowhere(drawing, screening_gain, folds):
    clip = drawing.clip
    references = clip.training_references("subject")
    network = partial(CNN, intermediate_channels=4, num_layers=2, kernel_size=3, padding="zero")
    module = partial(MODULE, network=network, lr=0.02)
    task = SegmentationTask("cnn", module, DATA, "val/jaccard", "max", 4, FitLimits(4))
    maskers = {"plain": everywhere(), "cnn": NetworkMasker(task, CONTEXT)}
    variants = {"mean": FusionVariant(MeanFusion)}
    fusion = FusionTask(
        "ensemble", MODULE, DATA, "val/jaccard", "max", 4, FitLimits(4),
        maskers=maskers, variants=variants, variant="mean", screening_gain=screening_gain,
    )  # fmt: skip
    ensemble = EnsembleMasker(fusion, CONTEXT).fit(clip, references)
    runs = clip.runs("cnn")
    assert len(list(runs.glob("*/fold-*/fit.json"))) == folds
    assert (runs / "best.json").exists() == (folds == 3)
    assert ("cnn" in ensemble.used_maskers(clip, references)) == (folds == 3)
    assert dict(ensemble.predict(clip, ["0004"]))["0004"].shape == clip.size
    (run,) = clip.runs("ensemble").glob("*/choice.json")
    assert ModelSelection.read(run.parent).dropped.keys() == ({"cnn"} if folds == 1 else set())
    assert (clip.path / "predictions" / "subject" / "cnn").exists() == (folds == 3)
