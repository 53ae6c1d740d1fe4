"""The best trial is recorded after its last fit, with the time."""

from datetime import UTC, datetime

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution

from dreaming.sweep.best import BestTrial
from dreaming.sweep.finalise import SweepResult, finalise


@pytest.fixture
def result(sweep_config, study, tmp_path):
    """A sweep of a program with one complete trial."""

    def make(program):
        sweep = study()
        trial = sweep.ask({"lr": FloatDistribution(0.1, 1.0)})
        trial.set_user_attr("folder", "runs/1")
        sweep.tell(trial, 0.5)
        config = OmegaConf.create({"clip": str(tmp_path), "logger": {}, "hydra": {"job": {"name": program}}})
        return SweepResult(sweep_config(), sweep, ["lr"], {}, [], config)

    return make


def test_a_failed_last_fit_leaves_no_best_trial(result, sweep_config):
    failed = JobReturn(status=JobStatus.FAILED)
    failed.return_value = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        finalise(result("train"), lambda overrides: [failed])
    assert not (sweep_config().folder / "best.yaml").exists()


def test_the_record_has_the_time_at_which_the_sweep_ended(result, sweep_config, monkeypatch):
    monkeypatch.setattr("dreaming.sweep.finalise.draw_plots", lambda *_: [])
    start = datetime.now(UTC)
    finalise(result("dream"), lambda overrides: [])
    best = BestTrial.read(sweep_config().folder / "best.yaml")
    assert start <= datetime.fromisoformat(best.finished_at) <= datetime.now(UTC)
    assert (best.sweep, best.trial, best.value) == ("unet", 0, 0.5)
