"""Fitting: budget, best and last checkpoint, continuing, refusing what does not belong."""

import functools
import json
import subprocess
import sys
import time
from itertools import pairwise

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from dreaming.errors import CheckpointError, ConfigError
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.fit import fit
from dreaming.training.loggers import csv_logger
from dreaming.training.task import TrainingTask


class Line(pl.LightningModule):
    """Learns y = 2x; a real module that is fitted in milliseconds."""

    def __init__(self, lr: float = 0.1) -> None:
        super().__init__()
        self.layer, self.lr = torch.nn.Linear(1, 1), lr

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)

    def training_step(self, batch, index):
        loss = ((self.layer(batch[0]) - 2 * batch[0]) ** 2).mean()
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, index):
        self.log("val/error", ((self.layer(batch[0]) - 2 * batch[0]) ** 2).mean())


class Numbers(pl.LightningDataModule):
    def __init__(self, steps: int, delay: float = 0.0) -> None:
        super().__init__()
        self.steps, self.delay = steps, delay

    def _slow(self, batch):
        time.sleep(self.delay)
        return [torch.stack([sample[0] for sample in batch])]

    def train_dataloader(self):
        values = torch.linspace(-1, 1, self.steps * 4)[:, None]
        return DataLoader(TensorDataset(values), batch_size=4, collate_fn=self._slow)

    def val_dataloader(self):
        return DataLoader(TensorDataset(torch.linspace(-1, 1, 8)[:, None]), batch_size=8)


class LineTask(TrainingTask):
    """A task whose fits are made by the tests themselves."""

    subjects = training_data = subject_of = fingerprint = plan = cross_validate = None


TRAINER = functools.partial(pl.Trainer, accelerator="cpu", devices=1)


def task(max_steps: int = 40, max_time: float | None = None, **more) -> LineTask:
    values = {"monitor": "val/error", "mode": "min", "validate_every": 10, **more}
    return LineTask("line", Line, Numbers, limits=FitLimits(max_steps, max_time), **values)


def run(folder, made=None, *, validate=True, module=Line, fingerprint=None, delay=0.0, context=None, **more):
    made = made or task()
    return fit(
        made,
        context or TrainingContext(TRAINER, {"csv": csv_logger}),
        folder,
        module=module,
        data=lambda: Numbers(made.epoch, delay),
        validate=validate,
        fingerprint=fingerprint or {"task": "a line"},
        title="line",
        **more,
    )


def test_a_fit_ends_after_its_steps_with_the_best_and_the_last_checkpoint(tmp_path):
    outcome = run(tmp_path)
    assert outcome.steps == 40
    assert list(outcome.curve) == [10, 20, 30, 40]
    assert outcome.score == pytest.approx(min(outcome.curve.values()))
    assert outcome.curve[outcome.step] == pytest.approx(outcome.score)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"best.ckpt", "end.ckpt", "last.ckpt"}
    assert (tmp_path / outcome.checkpoint).name == "best.ckpt"
    assert (tmp_path / "metrics" / "metrics.csv").exists()


def test_epochs_are_shortened_to_fill_the_budget(tmp_path):
    outcome = run(tmp_path, task(max_steps=25))  # two of ten and a half one would be three of ten without
    assert list(outcome.curve) == [9, 18, 25]


def test_a_fit_plans_as_many_steps_as_its_time_allows(tmp_path, caplog):
    caplog.set_level("INFO")
    outcome = run(tmp_path, task(max_steps=100_000, max_time=1.0), delay=0.01)
    assert 0 < outcome.steps < 100
    planned = [record.args for record in caplog.records if "time limit" in record.msg]
    assert [args[2] for args in planned] == [100_000]
    stopped = [record.args[1:3] for record in caplog.records if record.levelname == "WARNING" and "limit" in record.msg]
    assert planned[0][1] == outcome.steps or stopped == [(outcome.steps, planned[0][1])]


def test_what_is_fitted_before_the_first_step_is_in_the_time(tmp_path, caplog):
    class Prepared(Line):
        def on_fit_start(self):
            time.sleep(1.2)

    outcome = run(tmp_path, task(max_steps=100_000, max_time=1.0), module=Prepared, delay=0.01)
    assert (outcome.steps, outcome.step) == (1, 1)
    assert outcome.seconds > 1.2
    stopped = [record.args for record in caplog.records if record.levelname == "WARNING" and "limit" in record.msg]
    assert stopped == [("line", 1, 100_000, 1.0)]


def test_steps_that_folds_found_are_done_however_long_they_take(tmp_path):
    assert run(tmp_path, task(max_time=0.1), validate=False, max_steps=30, delay=0.02).steps == 30


def test_the_learning_rate_falls_to_its_floor_by_the_last_step(tmp_path):
    rates = []

    class Watched(Line):
        def on_train_batch_end(self, *_):
            rates.append(self.optimizers().param_groups[0]["lr"])

    run(tmp_path, module=Watched)
    assert rates[0] == pytest.approx(0.1)
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert rates[-1] < 0.1 * 0.03


def test_without_validation_the_last_checkpoint_is_taken(tmp_path):
    outcome = run(tmp_path, validate=False, max_steps=20)
    assert outcome.steps == 20
    assert (tmp_path / outcome.checkpoint).name == "last.ckpt"


def test_patience_ends_a_fit_that_no_longer_improves(tmp_path):
    class Stuck(Line):
        def validation_step(self, batch, index):
            self.log("val/error", torch.tensor(1.0))

    outcome = run(tmp_path, task(max_steps=1000, patience=2), module=Stuck)
    assert outcome.steps == 30


def test_after_a_plateau_the_learning_rate_falls_to_its_end(tmp_path):
    rates = []

    class Stuck(Line):
        def validation_step(self, batch, index):
            self.log("val/error", 1.0 - 1e-4 * self.global_step)

        def on_train_batch_end(self, *_):
            rates.append(self.optimizers().param_groups[0]["lr"])

    outcome = run(tmp_path, task(max_steps=1000, patience=2, min_gain=0.01, anneal=15), module=Stuck)
    assert list(outcome.curve) == [10, 20, 30, 40, 45]
    assert rates[29] == pytest.approx(0.1, rel=0.01)
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert rates[-1] < 0.1 * 0.04


def test_a_monitored_value_that_is_not_logged_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(ConfigError) as caught:
        run(tmp_path, task(monitor="val/eror"))
    assert (caught.value.where, caught.value.found) == ("model.line.monitor", "val/eror")
    assert "val/error" in caught.value.expected


def test_a_finished_fit_is_not_done_again(tmp_path):
    first = run(tmp_path)
    stamp = (tmp_path / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    assert run(tmp_path) == first
    assert (tmp_path / "checkpoints" / "last.ckpt").stat().st_mtime_ns == stamp


def test_a_folder_of_another_fit_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        run(tmp_path, fingerprint={"task": "another line"})
    assert caught.value.where == str(tmp_path)


def child(folder) -> None:
    """Run by the test below in a process of its own."""
    run(folder, delay=0.05)


@pytest.mark.slow
def test_a_killed_fit_goes_on_to_the_same_weights(tmp_path, kill_when):
    whole = run(tmp_path / "whole")
    code = (
        "import sys, importlib.util, pathlib\n"
        f"spec = importlib.util.spec_from_file_location('fitting', {__file__!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['fitting'] = module\n"
        "spec.loader.exec_module(module)\n"
        "module.child(pathlib.Path(sys.argv[1]))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "cut")])
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    kill_when(process, last.exists)
    assert not (tmp_path / "cut" / "fit.json").exists()
    cut = run(tmp_path / "cut")
    assert cut.steps == whole.steps == 40
    assert list(cut.curve) == list(whole.curve)
    found, expected = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (tmp_path / "cut", tmp_path / "whole")
    )
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-5, atol=1e-6)
    assert json.loads((tmp_path / "cut" / "fit.json").read_text())["steps"] == 40
    assert (tmp_path / "cut" / "metrics-2" / "metrics.csv").exists()


class Broken(Line):
    """Fails at its first step."""

    def training_step(self, batch, index):
        raise ArithmeticError


def test_a_failed_fit_closes_its_loggers(tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr("dreaming.training.fit.finish", lambda _, *, written_here, failed: closed.append(failed))
    with pytest.raises(ArithmeticError):
        run(tmp_path / "step", module=Broken)
    run(tmp_path / "fine", task(max_steps=1))

    def absent(save_dir):
        raise ConnectionError

    with pytest.raises(ConnectionError):
        run(tmp_path / "logger", context=TrainingContext(TRAINER, {"csv": csv_logger, "absent": absent}))
    assert closed == [True, False, True]


class Counter(pl.Callback):
    """A callback of the user's that counts the fits and the steps it watches."""

    fits, steps = 0, []

    def on_train_start(self, *_):
        type(self).fits += 1
        self.count = getattr(self, "count", 0)

    def on_train_batch_end(self, *_):
        self.count += 1

    def on_train_end(self, *_):
        self.steps.append(self.count)


def test_the_users_callbacks_watch_each_fit_as_copies(tmp_path):
    context = TrainingContext(TRAINER, user_callbacks={"one": Counter(), "made": Counter, "off": None})
    for name in ("first", "second"):
        run(tmp_path / name, task(max_steps=3, validate_every=3), context=context)
    assert (Counter.fits, Counter.steps) == (4, [3] * 4)


def test_arguments_of_the_trainer_are_passed_on(tmp_path):
    seen = {}

    class Watched(Line):
        def on_train_start(self):
            seen["clip"], seen["every"] = self.trainer.gradient_clip_val, self.trainer.log_every_n_steps

    context = TrainingContext(functools.partial(TRAINER, gradient_clip_val=1.0, log_every_n_steps=7))
    run(tmp_path, task(max_steps=2), module=Watched, context=context)
    assert seen == {"clip": 1.0, "every": 7}


@pytest.mark.parametrize("validate", [True, False])
def test_a_dry_run_needs_no_checkpoint_and_records_no_result(tmp_path, validate):
    context = TrainingContext(functools.partial(TRAINER, fast_dev_run=True), {"csv": csv_logger})
    found = run(tmp_path, context=context, validate=validate, **({} if validate else {"max_steps": 9}))
    assert (found.checkpoint, found.steps) == ("", 1)
    assert not list(tmp_path.rglob("*.ckpt"))
    assert not (tmp_path / "fit.json").exists()
    assert run(tmp_path).steps == 40, "a real fit follows in the same folder"


def test_the_report_of_a_profiler_is_a_file_named_in_one_line(tmp_path, caplog):
    caplog.set_level("INFO")
    run(tmp_path, task(max_steps=1), context=TrainingContext(functools.partial(TRAINER, profiler="simple")))
    report = tmp_path / "fit-profile.txt"
    assert "run_training_batch" in report.read_text()
    assert [record.args[1] for record in caplog.records if "profile" in record.msg] == [report]
