"""A training task finds the run that it has finished, or trains a new one."""

from dataclasses import dataclass, replace

import pytest
import pytorch_lightning as pl

from dreaming.errors import ConfigError
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.cross_validation import ValidationResult
from dreaming.training.fit_result import FitResult
from dreaming.training.task import TrainingTask

CONTEXT = TrainingContext(pl.Trainer, seed=3)


@dataclass(frozen=True)
class Noted(TrainingTask[str]):
    """A task whose fit writes a file instead of training."""

    checkpoint: str = "weights.ckpt"

    def subjects(self, clip):
        return ["head", "body"]

    def training_data(self, clip, subject):
        return subject

    def subject_of(self, data):
        return data

    def fingerprint(self, clip, data, context):
        return {"task": {"patience": self.patience}, "references": data, "seed": context.seed}

    def plan(self, clip, data):
        return "one fit"

    def cross_validate(self, run):
        if self.checkpoint:
            (run.folder / self.checkpoint).write_text("weights")
        result = FitResult(self.checkpoint, 0.5, 20, {20: 0.5}, 30, 1.0)
        return ValidationResult.of_fit("holdout", result)


@pytest.fixture
def task():
    return Noted("noted", None, None, "val/score", "max", 100, FitLimits(250))


def test_epochs_of_equal_length_fill_the_limit(task):
    assert task.epoch == 84
    assert replace(task, limits=FitLimits(40)).epoch == 40
    assert (task.sign, replace(task, mode="min").sign) == (1, -1)


def test_a_finished_run_is_found_by_its_fingerprint(task, disc_clip):
    clip = disc_clip().clip
    assert task.find(clip, "head", CONTEXT) is None
    best = task.find_or_train(clip, "head", CONTEXT)
    assert (best.score, best.steps, best.subject, best.validation) == (0.5, 20, "head", "holdout")
    assert best.weights.read_text() == "weights"
    assert task.find_or_train(clip, "head", CONTEXT) == task.find(clip, "head", CONTEXT) == best
    for other, data, context in (
        (task, "body", CONTEXT), (replace(task, patience=1), "head", CONTEXT), (task, "head", replace(CONTEXT, seed=4))
    ):  # fmt: skip
        assert other.find(clip, data, context) is None
        assert other.find_or_train(clip, data, context).folder != best.folder


def test_a_dry_run_is_no_result_to_use(task, disc_clip):
    dry, clip = replace(task, checkpoint=""), disc_clip().clip
    with pytest.raises(ConfigError) as caught:
        dry.find_or_train(clip, "head", CONTEXT)
    assert caught.value.where == "trainer.fast_dev_run"
    assert dry.find(clip, "head", CONTEXT) is None
