"""A sweep that is killed at any time is resumed, and loses its running trials at most."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

ROOT = Path(__file__).resolve().parents[2]
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
TRIALS, JOBS, KILLS = 6, 2, 2
TIMEOUT = 300


def start(clip):
    arguments = [
        "-m", "model=cnn", "sweep=cnn", f"clip={clip}", "threads=1", "logger=csv", "trainer=cpu", "sweep.heartbeat=1",
        "data.segmentation.crop=32", "model.cnn.limits.max_steps=20", "model.cnn.validate_every=5",
        "model.cnn.module.network.num_layers=2", "model.cnn.module.network.intermediate_channels=2",
        "hydra/launcher=joblib", f"hydra.launcher.n_jobs={JOBS}", f"hydra.sweeper.n_trials={TRIALS}",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, ROOT / "train.py", *arguments], env=environment, start_new_session=True)


def finished(clip):
    """Numbers and values of the finished trials; none while there is no study."""
    path = clip / "sweeps" / "cnn" / "study.db"
    if not path.exists():
        return {}
    try:
        study = optuna.load_study(study_name="cnn", storage=f"sqlite:///{path}")
    except Exception:  # it is being created
        return {}
    return {trial.number: trial.value for trial in study.get_trials(states=FINISHED)}


@pytest.mark.slow
def test_a_killed_sweep_is_resumed_and_loses_the_running_trials_at_most(disc_clip):
    clip = disc_clip(masks=(1, 8)).path
    rng = np.random.default_rng(5)
    kept = {}
    for _ in range(KILLS):
        process = start(clip)
        deadline = time.monotonic() + TIMEOUT
        while len(finished(clip)) <= len(kept) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(rng.uniform(0, 2))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        now = finished(clip)
        assert now.items() >= kept.items(), "finished trials are kept"
        kept = now
    time.sleep(4)  # killed trials count as lost after three missing heartbeats of one second
    process = start(clip)
    assert process.wait(TIMEOUT) == 0
    study = optuna.load_study(study_name="cnn", storage=f"sqlite:///{clip}/sweeps/cnn/study.db")
    states = [trial.state for trial in study.trials]
    assert finished(clip).items() >= kept.items()
    assert sum(state in FINISHED for state in states) == TRIALS
    lost = [trial for trial in study.trials if trial.state is TrialState.FAIL]
    assert len(lost) <= KILLS * JOBS
    repeated = {trial.user_attrs["retry_of"]: trial.params for trial in study.trials if "retry_of" in trial.user_attrs}
    for trial in lost:
        assert repeated[trial.number].items() >= trial.params.items(), (
            "it may have been killed while its values were drawn"
        )
    assert TrialState.RUNNING not in states
    assert (clip / "runs" / "cnn" / "best.json").exists()
