"""Checkpoints: a fit that is cut off goes on from them and ends as one that never was, and strangers are refused."""

import errno
import functools
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from dreaming import interruption
from dreaming.data.base import SteppedDataModule
from dreaming.errors import CheckpointError
from dreaming.training.checkpoints import RESUMABLE, AtomicCheckpointIO, load, rebuild, recover
from dreaming.training.context import FitLimits, TrainingContext
from dreaming.training.fit import fit
from dreaming.training.task import TrainingTask

TRAINER = functools.partial(pl.Trainer, accelerator="cpu", devices=1)


class Line(pl.LightningModule):
    """Learns y = 2x, stepping its optimiser itself if it is ``manual``."""

    def __init__(self, manual: bool = True, width: int = 1) -> None:
        super().__init__()
        self.automatic_optimization = not manual
        self.layer = torch.nn.Linear(1, width)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.1)

    def _loss(self, batch):
        return ((self.layer(batch["x"]) - 2 * batch["x"]) ** 2).mean()

    def training_step(self, batch, index):
        loss = self._loss(batch)
        if self.automatic_optimization:
            return loss
        self.optimizers().zero_grad()
        self.manual_backward(loss)
        self.optimizers().step()
        return None

    def validation_step(self, batch, index):
        # The first is the best, so that Lightning's own checkpoint is written once.
        self.log("val/error", self._loss(batch) + self.global_step)


class Numbers(SteppedDataModule):
    def make_batch(self, step):
        return {"x": torch.rand(4, 1, generator=self.generator(step, "draw"))}

    def val_dataloader(self):
        return torch.utils.data.DataLoader([{"x": torch.linspace(-1, 1, 8)[:, None]}], batch_size=None)


class LineTask(TrainingTask):
    """A task whose fits are made by the tests themselves."""

    subjects = training_data = subject_of = fingerprint = plan = cross_validate = None


class CutError(RuntimeError):
    pass


class CutAt(Callback):
    """Ends a fit in the middle of a step."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            raise CutError


def run(folder, manual=True, cut=None, signals=None, module=Line, trainer=TRAINER, save_seconds=0.0, **more):
    made = LineTask("line", Line, Numbers, "val/error", "min", 10, FitLimits(40), save_seconds=save_seconds)
    callbacks = [] if cut is None else [lambda *_: CutAt(cut)]
    if signals is not None:
        callbacks.append(lambda *_: SignalAt(*signals))
    return fit(
        made,
        TrainingContext(trainer, callbacks=callbacks),
        folder,
        module=lambda: module(manual),
        data=lambda: Numbers(batch_size=4, steps_per_epoch=made.epoch, seed=0),
        fingerprint={"task": "a line"},
        title="line",
        **{"validate": True} | more,
    )


def end(folder):
    return torch.load(folder / "checkpoints" / "end.ckpt", weights_only=True)["state_dict"]


def taken(folder):
    """Steps behind the checkpoint by the clock."""
    return torch.load(folder / "checkpoints" / "rolling.ckpt", weights_only=True)["global_step"]


@pytest.mark.parametrize("manual", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_cut_off_between_validations_it_goes_on_from_there_to_the_same_end(tmp_path, manual):
    whole = run(tmp_path / "whole", manual)
    # In the first epoch, in a later one, and before the first step of one.
    for cut, expected in ((7, 7), (26, 26), (30, 29)):
        folder = tmp_path / str(cut)
        with pytest.raises(CutError):
            run(folder, manual, cut=cut)
        assert taken(folder) == expected
        found = run(folder, manual)
        assert (found.curve, found.steps, found.step) == (whole.curve, whole.steps, whole.step)
        for name, weight in end(tmp_path / "whole").items():
            assert torch.equal(end(folder)[name], weight), name


class Noisy(Line):
    """Draws from torch's own stream at each step, and improves at each validation."""

    def _loss(self, batch):
        return super()._loss({"x": batch["x"] + 0.1 * torch.randn(batch["x"].shape)})

    def validation_step(self, batch, index):
        self.log("val/error", super()._loss(batch) - self.global_step)


@pytest.mark.parametrize("save_seconds", [0.0, 1e6])
def test_noise_goes_on_where_it_was(tmp_path, save_seconds):
    whole = run(tmp_path / "whole", module=Noisy)
    with pytest.raises(CutError):
        run(tmp_path / "cut", module=Noisy, cut=26, save_seconds=save_seconds)
    found = run(tmp_path / "cut", module=Noisy)
    assert found.curve == whole.curve
    assert torch.equal(end(tmp_path / "cut")["layer.weight"], end(tmp_path / "whole")["layer.weight"])


@pytest.mark.slow
def test_steps_that_are_asked_for_are_done_and_no_more(tmp_path):
    asked = {"validate": False, "max_steps": 23}
    whole = run(tmp_path / "whole", **asked)
    assert whole.steps == 23
    assert torch.load(tmp_path / "whole" / whole.checkpoint, weights_only=True)["global_step"] == 23
    # By the clock within an epoch and after one, and by the end of an epoch.
    for cut, seconds in ((7, 0.0), (21, 0.0), (22, 0.0), (21, 1e6)):
        folder = tmp_path / f"{cut}-{seconds}"
        with pytest.raises(CutError):
            run(folder, cut=cut, save_seconds=seconds, **asked)
        found = run(folder, **asked)
        assert found.steps == 23, cut
        assert torch.load(folder / found.checkpoint, weights_only=True)["global_step"] == 23
        for name, weight in end(tmp_path / "whole").items():
            assert torch.equal(end(folder)[name], weight), (cut, name)


def test_nothing_is_written_by_the_clock_right_before_a_validation(tmp_path):
    with pytest.raises(CutError):
        run(tmp_path, cut=20)
    assert taken(tmp_path) == 19


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "some.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    def elsewhere(*_):
        raise OSError(errno.EXDEV, "another disk")

    def torn(_, target, **__):
        Path(target).write_bytes(b"half")
        raise CutError

    def killed(*_):
        raise CutError

    # A temporary file on another disk cannot be renamed; shutil then copies it.
    monkeypatch.setattr(os, "rename", elsewhere)
    monkeypatch.setattr(shutil, "copyfile", torn)
    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(CutError):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}


def test_loading_refuses_what_is_no_checkpoint_of_this_module(tmp_path):
    outcome = run(tmp_path)
    loaded = load(Line(), tmp_path / outcome.checkpoint)
    stored = torch.load(tmp_path / outcome.checkpoint, weights_only=True)["state_dict"]
    assert torch.equal(loaded.layer.weight, stored["layer.weight"])
    assert not loaded.training
    torch.save({"state_dict": Line()}, tmp_path / "pickled.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    for width, name in ((3, outcome.checkpoint), (1, "text.ckpt"), (1, "gone.ckpt"), (1, "pickled.ckpt")):
        with pytest.raises(CheckpointError) as caught:
            load(Line(width=width), tmp_path / name)
        assert caught.value.where == str(tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_fit_in_processes_of_its_own_ends_as_in_this_one(tmp_path, devices):
    spawned = functools.partial(TRAINER, strategy="ddp_spawn", devices=devices)
    here, there = run(tmp_path / "here"), run(tmp_path / "there", trainer=spawned)
    # All of the curve, though the best of it is its first value.
    assert there.curve == pytest.approx(here.curve)
    assert (there.steps, there.step) == (here.steps, here.step) == (40, 10)
    assert there.seconds > 0
    for name, weight in end(tmp_path / "here").items():
        torch.testing.assert_close(end(tmp_path / "there")[name], weight)
    assert not (tmp_path / "there" / "checkpoints" / "rolling.ckpt").exists()


@pytest.mark.parametrize(
    ("steps", "expected"), [((20, 26), "rolling.ckpt"), ((30, 26), "last.ckpt"), ((20, 20), "last.ckpt")]
)
def test_the_checkpoint_with_most_steps_is_resumed_whatever_the_file_times(tmp_path, steps, expected):
    folder, model = tmp_path / "checkpoints", Line()
    state = {**dict.fromkeys(RESUMABLE), "state_dict": model.state_dict()}
    for age, (name, step) in enumerate(zip(("rolling.ckpt", "last.ckpt"), reversed(steps), strict=True)):
        AtomicCheckpointIO().save_checkpoint(state | {"global_step": step}, folder / name)
        os.utime(folder / name, (age, age))
    assert recover(tmp_path, model).name == expected
    for age, name in enumerate(("last.ckpt", "rolling.ckpt")):
        os.utime(folder / name, (age, age))
    assert recover(tmp_path, model).name == expected


def damage(path, how):
    """Replace a checkpoint by something that is none."""
    whole = path.read_bytes()
    path.unlink()
    match how:
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path.name)
        case "objects":
            torch.save({"state_dict": Line(), "global_step": 7}, path)
        case "content":
            torch.save({"global_step": 7}, path)
        case "list":
            torch.save([1, 2], path)
        case "network":
            state = {**dict.fromkeys(RESUMABLE), "state_dict": Line(width=3).state_dict(), "global_step": 99}
            torch.save(state, path)
        case "bit":
            middle = whole.index(b"state_dict") if b"state_dict" in whole else len(whole) // 2
            path.write_bytes(whole[:middle] + b"X" + whole[middle + 1 :])
        case _:
            path.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[how])


DAMAGES = ["truncated", "empty", "text", "content", "list", "objects", "network", "bit", "directory", "fifo", "loop"]


@pytest.fixture(scope="module")
def cut_fit(tmp_path_factory):
    """The folder of a fit that was cut off after a validation and some steps."""
    folder = tmp_path_factory.mktemp("cut")
    with pytest.raises(CutError):
        run(folder, cut=26)
    return folder


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_checkpoint_is_replaced_by_the_one_before_it(tmp_path, cut_fit, caplog, how):
    folder = shutil.copytree(cut_fit, tmp_path / "fit")
    damage(folder / "checkpoints" / "rolling.ckpt", how)
    assert recover(folder, Line()).name == "last.ckpt"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    kept = folder / "checkpoints" / "rolling.ckpt.kept-1"
    assert kept.exists() or kept.is_symlink()
    assert recover(folder, Line()).name == "last.ckpt"
    assert len(caplog.records) == 1


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_final_weights_are_refused_and_stay_as_they_are(tmp_path, how):
    AtomicCheckpointIO().save_checkpoint({"state_dict": Line().state_dict()}, tmp_path / "best.ckpt")
    load(Line(), tmp_path / "best.ckpt")
    damage(tmp_path / "best.ckpt", how)
    with pytest.raises(CheckpointError) as refused:
        load(Line(), tmp_path / "best.ckpt")
    assert refused.value.where == str(tmp_path / "best.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]


def test_without_an_intact_checkpoint_training_starts_again(tmp_path, cut_fit):
    folder = shutil.copytree(cut_fit, tmp_path / "fit")
    for path in sorted((folder / "checkpoints").iterdir()):
        damage(path, "truncated")
    assert run(folder).steps == 40
    assert len(list((folder / "checkpoints").glob("*.kept-1"))) == 3


def test_a_checkpoint_names_no_file_to_remove(tmp_path):
    (tmp_path / "checkpoints" / "theirs").mkdir(parents=True)
    for path in (tmp_path / "checkpoints" / "theirs", tmp_path / "checkpoints" / ".." / "checkpoints"):
        AtomicCheckpointIO().remove_checkpoint(path)
    assert (tmp_path / "checkpoints" / "theirs").exists()


class SignalAt(Callback):
    """Sends this process a signal in the middle of a step."""

    def __init__(self, number, step):
        self.number, self.step = number, step

    def on_train_batch_start(self, trainer, *_):
        if trainer.fit_loop.total_batch_idx + 1 == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ("number", "error", "step", "validate", "saved"),
    [
        (signal.SIGINT, KeyboardInterrupt, 6, True, 6),
        (signal.SIGTERM, interruption.Terminated, 13, True, 13),
        (signal.SIGINT, KeyboardInterrupt, 20, True, 20),  # the validation comes first
        (signal.SIGTERM, interruption.Terminated, 10, False, 10),
    ],
)
def test_a_signal_ends_a_fit_once_its_state_is_saved(tmp_path, number, error, step, validate, saved):
    more = {"save_seconds": 1e9, "validate": validate, "manual": False}
    before = [signal.getsignal(each) for each in interruption.SIGNALS]
    whole = run(tmp_path / "whole", **more)
    with pytest.raises(KeyboardInterrupt) as ended:
        run(tmp_path / "cut", signals=(number, step), **more)
    assert ended.type is error
    assert [signal.getsignal(each) for each in interruption.SIGNALS] == before
    assert taken(tmp_path / "cut") == saved
    assert run(tmp_path / "cut", **more).curve == whole.curve
    for name, value in end(tmp_path / "whole").items():
        torch.testing.assert_close(end(tmp_path / "cut")[name], value, rtol=0, atol=0)


class Warming(Line):
    """Works for long before the first step; a signal comes in the middle."""

    number, done = signal.SIGINT, 0

    def on_fit_start(self):
        os.kill(os.getpid(), self.number)
        for _ in range(1000):
            Warming.done += 1


@pytest.mark.parametrize("number", interruption.SIGNALS)
def test_a_signal_before_the_first_step_ends_a_fit_at_once(tmp_path, monkeypatch, number):
    monkeypatch.setattr(Warming, "number", number)
    monkeypatch.setattr(Warming, "done", 0)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    with interruption.deferrable():
        interruption.install()
        handlers = [signal.getsignal(each) for each in interruption.SIGNALS]
        with pytest.raises(KeyboardInterrupt) as ended:
            run(tmp_path, module=Warming)
        assert [signal.getsignal(each) for each in interruption.SIGNALS] == handlers
    assert (ended.type is interruption.Terminated) == (number is signal.SIGTERM)
    assert Warming.done < 1000
    assert run(tmp_path).steps == 40


def test_a_signal_in_the_last_step_ends_the_run_after_the_result(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, signals=(signal.SIGINT, 40), validate=False, max_steps=40)
    assert run(tmp_path, validate=False, max_steps=40).steps == 40
    assert not (tmp_path / "checkpoints" / "rolling.ckpt").exists()


def test_a_module_is_rebuilt_from_its_hyperparameters(tmp_path):
    class Wide(Line):
        def __init__(self, width):
            super().__init__(width=width)
            self.save_hyperparameters()

    module = Wide(width=3)
    trainer = TRAINER(max_steps=0, logger=False, enable_checkpointing=False)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "wide.ckpt")
    rebuilt = rebuild(Wide, tmp_path / "wide.ckpt")
    torch.testing.assert_close(rebuilt.state_dict(), module.state_dict())
    assert not rebuilt.training
    (tmp_path / "other.ckpt").write_bytes(b"PK")
    for other in ("other.ckpt", "none.ckpt"):
        with pytest.raises(CheckpointError):
            rebuild(Wide, tmp_path / other)
