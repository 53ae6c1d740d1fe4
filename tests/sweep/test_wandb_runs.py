"""A trial is one W&B run in the sweep's group, kept offline with one warning if the server is unreachable."""

import logging
import time
from functools import partial

import pytest
from dashboard import OfflineRun, records
from optuna.distributions import FloatDistribution

from dreaming.sweep.trial import FOLDER, PRUNED
from dreaming.sweep.wandb_runs import log_sync_command, trial_logger
from dreaming.training import loggers
from dreaming.training.loggers import wandb_logger


def finished_records(folder):
    """All records of a run once its end is on disk; a process of W&B writes them."""
    for _ in range(100):
        (path,) = folder.rglob("*.wandb")
        written = list(records(path))
        if any(record.HasField("exit") for record in written):
            break
        time.sleep(0.1)
    return written


BUILD = partial(wandb_logger, project="dreaming", entity=None, tags=["mine"], timeout=2.0)


@pytest.mark.slow
def test_a_trial_is_a_run_with_its_values_and_its_state(study, sweep_config, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    trial = study().ask({"lr": FloatDistribution(0.1, 1.0)})
    trial.set_user_attr(PRUNED, value=True)
    with trial_logger({"wandb": BUILD}, sweep_config(), trial, tmp_path / "0") as log_values:
        log_values({"val/jaccard": 0.5}, 10)
        log_values({"score": 0.25}, 100)
    written = finished_records(tmp_path / "0")
    (run,) = [record.run for record in written if record.HasField("run")]
    assert (run.run_group, run.display_name, run.job_type) == ("unet", "unet-0", "trial")
    assert set(run.tags) == {"mine", "unet"}
    config = {u.key or u.nested_key[0]: u.value_json for r in written if r.HasField("config") for u in r.config.update}
    config |= {item.key: item.value_json for item in run.config.update}
    assert config["lr"] == str(trial.params["lr"])
    history = [
        {i.key or i.nested_key[0]: i.value_json for i in r.history.item} for r in written if r.HasField("history")
    ]
    assert [row["val/jaccard"] for row in history if "val/jaccard" in row] == ["0.5"]
    assert [row["score"] for row in history if "score" in row] == ["0.25"]
    summary = {
        i.key or i.nested_key[0]: i.value_json for r in written if r.HasField("summary") for i in r.summary.update
    }
    assert summary[PRUNED] == "true"
    (path,) = (tmp_path / "0").rglob("*.wandb")
    drawn = OfflineRun(path)
    assert (drawn.parameters, drawn.curve, drawn.score) == (trial.params, {10: 0.5}, 0.25)


def test_without_wandb_nothing_is_written(study, sweep_config, tmp_path):
    with trial_logger({}, sweep_config(), study().ask(), tmp_path / "0") as log_values:
        log_values({"score": 0.5}, 100)
    assert not (tmp_path / "0").exists()


@pytest.mark.slow
def test_without_a_network_runs_are_kept_with_one_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    start = time.monotonic()
    with caplog.at_level(logging.WARNING), loggers.status_message():
        for name in ("a", "b"):
            monkeypatch.setattr(loggers, "_unreachable", [])  # as in another job's process
            logger = BUILD(save_dir=str(tmp_path / name))
            logger.log_metrics({"x": 1.0}, step=1)
            loggers.finish(logger)
    assert time.monotonic() - start < 120, "it hangs"
    assert len([record for record in caplog.records if record.name == loggers.__name__]) == 1
    for name in ("a", "b"):
        assert list((tmp_path / name).rglob("offline-run-*/*.wandb"))


def test_the_command_that_uploads_a_sweep_is_logged(disc_clip, study, sweep_config, caplog):
    clip, sweep = disc_clip(masks=(1,)).path, study()
    for number in range(2):
        sweep.ask().set_user_attr(FOLDER, f"runs/unet/now/{number}")
        (clip / "runs" / "unet" / "now" / str(number) / "wandb" / "offline-run-1").mkdir(parents=True)
    own = sweep_config().folder / "wandb" / "offline-run-2"
    own.mkdir(parents=True)
    with caplog.at_level(logging.INFO):
        log_sync_command(clip, sweep_config(), sweep)
    (record,) = caplog.records
    assert record.args == (f"{clip}/runs/unet/now/*/wandb/offline-run-* {own.parent}/offline-run-*",)
