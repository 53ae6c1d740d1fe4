"""Loggers: metrics of a continued run beside the first ones, W&B offline with config, metrics and pictures."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import wandb

from dreaming.io.image import encode_png
from dreaming.training import loggers
from dreaming.training.image_logging import send
from dreaming.training.loggers import UNREACHABLE, csv_logger, finish, log_sync_command, status_message, wandb_logger


def test_a_continued_run_writes_beside_the_metrics_of_the_first(tmp_path):
    for value in (1.0, 2.0):
        logger = csv_logger(save_dir=str(tmp_path))
        logger.log_metrics({"val/jaccard": value}, step=1)
        finish(logger)
    assert "1.0" in (tmp_path / "metrics" / "metrics.csv").read_text()
    assert "2.0" in (tmp_path / "metrics-2" / "metrics.csv").read_text()


def test_wandb_writes_an_offline_run_with_config_metrics_and_pictures(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(loggers, "_offline", [])
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "sheet.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    logger = wandb_logger(save_dir=str(tmp_path), project="dreaming", entity=None, tags=["test"])
    logger.log_hyperparams({"seed": 3})
    logger.log_metrics({"val/jaccard": 0.5}, step=1)
    send(logger, [tmp_path / "sheet.png", tmp_path / "absent.png"])
    finish(logger)
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    log_sync_command()
    log_sync_command()
    assert [record.args for record in caplog.records if "wandb sync" in record.getMessage()] == [(f"wandb sync {run}",)]
    assert list(run.glob("*.wandb"))
    assert list(run.glob("files/media/images/*.png"))


@pytest.fixture
def modes(monkeypatch):
    """In which modes runs are begun, of a server that is not there; and as in a process that has not yet tried."""
    begun = []

    def init(mode, **about):
        begun.append(mode)
        if mode == "online":
            raise wandb.errors.CommError("no server")
        return SimpleNamespace(settings=about["settings"], sync_dir="")

    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr(loggers, "_unreachable", [])
    return begun


def begin():
    return loggers._begin({"init_timeout": 1.0, "finish_timeout": 2.0})


def test_of_several_processes_one_says_that_wandb_does_not_answer(modes, monkeypatch, caplog):
    with status_message():
        begin()
        begin()
        assert modes == ["online", "offline", "offline"]
        monkeypatch.setattr(loggers, "_unreachable", [])
        begin()
        assert modes[3:] == ["offline"], "another process knows"
        # Of two that try at the same time the second one to find out keeps quiet.
        with monkeypatch.context() as late:
            late.setattr(loggers, "_is_unreachable", lambda: False)
            begin()
        assert modes[4:] == ["online", "offline"]
        path = Path(os.environ[UNREACHABLE])
    assert len([record for record in caplog.records if "W&B" in record.message]) == 1
    assert not path.exists()
    assert UNREACHABLE not in os.environ


def test_a_key_that_wandb_refuses_leaves_runs_offline_and_is_told_once(modes, monkeypatch, caplog):
    def login(**_):
        raise wandb.errors.AuthenticationError("WANDB_API_KEY invalid: API key must have 40+ characters, has 3.")

    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setattr(wandb, "login", login)
    begin()
    begin()
    assert modes == ["offline", "offline"]
    (warning,) = [record.message for record in caplog.records if "W&B" in record.message]
    assert "WANDB_API_KEY invalid" in warning


def test_what_was_found_out_in_one_run_of_the_program_does_not_bind_the_next(modes, monkeypatch):
    for _ in range(2):
        monkeypatch.setattr(loggers, "_unreachable", [])
        with status_message():
            begin()
    assert modes == ["online", "offline"] * 2


def test_the_end_of_a_run_waits_for_its_upload_only_so_long(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(loggers, "_unreachable", [])
    logger = wandb_logger(save_dir=str(tmp_path), project="dreaming", entity=None, tags=[], finish_timeout=7.0)
    run = logger.experiment
    assert (run.settings.finish_timeout, run.settings.finish_timeout_raises) == (7.0, True)
    end = run.finish

    def finish_late():
        end()
        raise TimeoutError("Timed out finishing run.")

    monkeypatch.setattr(run, "finish", finish_late)
    finish(logger)
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    assert f"wandb sync {folder}" in caplog.text
    monkeypatch.setenv("WANDB_MODE", "online")
    with monkeypatch.context() as watched:
        begun = []
        watched.setattr(wandb, "init", lambda mode, **_: begun.append(mode) or SimpleNamespace(sync_dir=""))
        begin()
    assert begun == ["offline"], "the next run does not wait again"


def test_wandb_can_be_switched_off_by_its_own_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    logger = wandb_logger(save_dir=str(tmp_path), project="dreaming", entity=None, tags=[])
    logger.log_metrics({"val/jaccard": 0.5}, step=1)
    finish(logger)
    assert not list(tmp_path.glob("wandb/*run*"))


def test_metrics_of_a_module_reach_both(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")

    class One(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def training_step(self, batch, index):
            self.log("train/loss", self.weight.sum())
            return self.weight.sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    loggers = [
        csv_logger(save_dir=str(tmp_path)),
        wandb_logger(save_dir=str(tmp_path), project="dreaming", entity=None, tags=[]),
    ]
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=2, logger=loggers, log_every_n_steps=1, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(One(), torch.utils.data.DataLoader(torch.zeros(2, 1)))
    for logger in loggers:
        finish(logger)
    assert "train/loss" in (tmp_path / "metrics" / "metrics.csv").read_text()
    (run,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    # W&B's own process writes the last records when it gets to it.
    for _ in range(100):
        if b"train/loss" in run.read_bytes():
            break
        time.sleep(0.2)
    else:
        pytest.fail("no train/loss in the W&B run")
