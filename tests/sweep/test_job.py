"""A job of a sweep: its trial is measured, reported, and pruned."""

import math
from functools import partial
from types import SimpleNamespace

import optuna
import pytest
import pytorch_lightning as pl
from optuna.distributions import IntDistribution
from optuna.trial import TrialState
from pytorch_lightning.loggers import Logger

from dreaming.errors import DivergenceError
from dreaming.sweep.job import train_trial
from dreaming.sweep.trial import BEST_VALUE, DIVERGED, PRUNED
from dreaming.training.context import TrainingContext


class RecordingLogger(Logger):
    """Keeps the logged values."""

    name = version = None

    def __init__(self, rows, **_):
        super().__init__()
        self.rows = rows

    def log_metrics(self, metrics, step=None):
        self.rows.append((step, metrics))

    def log_hyperparams(self, *_):
        pass


class Fits:
    """A task of several fits with one validation each, whose values are given."""

    monitor, sign = "val/jaccard", 1

    def __init__(self, values):
        self.values = values

    def measure(self, clip, name, context, folder):
        (build_callback,) = context.callbacks
        for fit, value in enumerate(self.values):
            trainer = SimpleNamespace(
                callbacks=[], callback_metrics={self.monitor: value},
                fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(total_batch_idx=3)),
            )  # fmt: skip
            build_callback(fit, len(self.values), 4).on_validation_end(trainer, None)
        return sum(self.values) / len(self.values)


@pytest.fixture
def job(disc_clip, sweep_config, study):
    """Run the job of a trial with these values; return its result, the trial, and the rows logged to W&B."""

    def run(values, pruner, task=Fits):
        drawing, sweep, rows = disc_clip(masks=(1,)), study(pruner=pruner), []
        sweep.ask({"depth": IntDistribution(2, 2)})
        context = TrainingContext(pl.Trainer, {"wandb": partial(RecordingLogger, rows)})
        result = train_trial(
            sweep_config(pruner=pruner), task(values), drawing.clip, ["subject"], context, drawing.path / "runs" / "0",
            ["depth=2"],
        )  # fmt: skip
        return result, sweep.trials[0], rows

    return run


def test_a_pruned_trial_is_recorded_with_its_best_value(job):
    result, trial, rows = job((0.9, 0.1, 0.1), optuna.pruners.ThresholdPruner(lower=0.6))
    assert trial.intermediate_values == {33: 0.9, 66: 0.5}
    assert trial.user_attrs[PRUNED]
    assert trial.user_attrs[BEST_VALUE] == 0.9
    assert result == (0.9,)
    assert rows[-1] == (100, {"score": 0.9})


def test_a_complete_trial_is_recorded_with_its_score(job):
    result, trial, rows = job((0.9, 0.1), optuna.pruners.NopPruner())
    assert trial.state is TrialState.RUNNING, "the sweep stores the result"
    assert not {PRUNED, BEST_VALUE} & set(trial.user_attrs)
    assert result == (0.5,)
    assert rows[-1] == (100, {"score": 0.5})


def test_a_trial_that_diverges_counts_as_pruned_without_a_value(job):
    class Diverging(Fits):
        def measure(self, *_):
            raise DivergenceError("model.unet.module.lr", found="the loss is nan", expected="finite numbers")

    result, trial, _ = job((), optuna.pruners.NopPruner(), Diverging)
    assert trial.user_attrs[PRUNED]
    assert trial.user_attrs[DIVERGED]
    assert all(math.isnan(value) for value in result)


def test_the_last_fit_of_the_best_trial_belongs_to_the_sweeps_group(disc_clip, sweep_config):
    drawing, built = disc_clip(masks=(1,)), []
    loggers = {name: partial(lambda which, **run: built.append((which, run)), name) for name in ("csv", "wandb")}

    def train(clip, name, context, folder):
        for build in context.loggers.values():
            build(save_dir=str(folder))
        return SimpleNamespace(score=0.75)

    folder, context = drawing.path / "runs" / "3", TrainingContext(pl.Trainer, loggers)
    task = SimpleNamespace(train=train)
    assert train_trial(sweep_config(refit=folder), task, drawing.clip, ["subject"], context, folder, []) == (0.75,)
    run = {"group": "unet", "name": "unet-best", "job_type": "refit"}
    assert built == [("csv", {"save_dir": str(folder)}), ("wandb", {"save_dir": str(folder), **run})]
