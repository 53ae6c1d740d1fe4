"""The best trial is written down once it is fitted."""

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution

from dreaming.sweep.finalise import SweepResult, finalise


def test_a_last_fit_that_fails_leaves_no_best_trial_to_be_used(plan, study, tmp_path):
    sweep = study()
    trial = sweep.ask({"lr": FloatDistribution(0.1, 1.0)})
    trial.set_user_attr("folder", "runs/1")
    sweep.tell(trial, 0.5)
    config = OmegaConf.create({"clip": str(tmp_path), "hydra": {"job": {"name": "train"}}})
    failed = JobReturn(status=JobStatus.FAILED)
    failed.return_value = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        finalise(SweepResult(plan(), sweep, ["lr"], {}, [], config), lambda overrides: [failed])
    assert not (plan().folder / "best.yaml").exists()
