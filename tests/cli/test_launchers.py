"""Runs under Hydra's launchers: sweeps and shares of the frames, each in processes of its own."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from hydra import compose, initialize_config_dir
from optuna.trial import TrialState

from dreaming.cli.config import config_root, register_resolvers

ROOT = Path(__file__).resolve().parents[2]
COMMON = ("threads=1", "logger=csv", "trainer=cpu")
JOBS = {
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit_local": ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"),
    "ray": ("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"),
}
PACKAGES = {
    "joblib": "hydra_joblib_launcher",
    "submitit_local": "hydra_submitit_launcher",
    "submitit_slurm": "hydra_submitit_launcher",
    "ray": "hydra_ray_launcher",
}


def need(name):
    """Skip the test if the launcher is not installed."""
    if importlib.util.find_spec(f"hydra_plugins.{PACKAGES[name]}") is None:
        pytest.skip(f"{PACKAGES[name]} is not installed (pip install 'dreaming[cluster]')")


def launcher(name):
    need(name)
    return JOBS[name]


def program(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *map(str, arguments)], env=environment, cwd=ROOT, **options)


def frames(clip, masker="background"):
    return {path.name: path.read_bytes() for path in (clip / "masks" / masker).glob("*.png")}


def mask(clip, *more, **options):
    """Mask a clip; a masker that computes whole runs, so that shares have to agree on them."""
    return program("-m", "dreaming", f"clip={clip}", "stages=[mask]", "masker=background", *COMMON, *more, **options)


@pytest.mark.parametrize(
    ("name", "texts", "jobs"),
    [
        ("basic", (), 1),
        ("joblib", ("hydra.launcher.n_jobs=3",), 3),
        ("joblib", (), -1),
        ("submitit_slurm", ("hydra.launcher.array_parallelism=3",), 3),
        ("submitit_local", (), 1),
        ("ray", ("+hydra.launcher.ray.init.num_cpus=3",), 3),
        ("ray", ("hydra.launcher.ray.init.address=auto",), 1),
        ("joblib", ("hydra.launcher.n_jobs=3", "hydra.sweeper.n_jobs=2"), 2),
    ],
)
def test_a_sweep_begins_as_many_trials_at_once_as_its_launcher_runs(name, texts, jobs):
    if name != "basic":
        need(name)
    register_resolvers()
    overrides = ["clip=x", "sweep=cnn", "hydra.mode=MULTIRUN", f"hydra/launcher={name}", *texts]
    with initialize_config_dir(str(config_root() / "conf")):
        config = compose("train", overrides=overrides, return_hydra_config=True)
    assert config.hydra.sweeper.n_jobs == jobs


@pytest.mark.slow
@pytest.mark.parametrize("name", ["joblib", "submitit_local", "ray"])
def test_a_sweep_runs_under_every_launcher(disc_clip, name):
    options = launcher(name)
    clip = disc_clip(masks=(1, 8)).path
    small = (
        "data.segmentation.crop=32", "model.cnn.limits.max_steps=2", "model.cnn.validate_every=1",
        "model.cnn.module.network.num_layers=2", "model.cnn.module.network.intermediate_channels=2",
    )  # fmt: skip
    parallel = ("hydra.sweeper.n_jobs=2",) if name == "submitit_local" else ()
    begun = program(
        "train.py", "-m", "sweep=cnn", f"clip={clip}", *COMMON, *small, *options, *parallel,
        "hydra.sweeper.n_trials=2", "sweep/pruner=none",
    )  # fmt: skip
    assert begun.wait(400) == 0
    study = optuna.load_study(study_name="cnn", storage=f"sqlite:///{clip}/sweeps/cnn/study.db")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert (clip / "runs" / "cnn" / "best.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("joblib", 2), ("submitit_local", 2), ("ray", 2)])
def test_shares_make_the_same_bytes_as_one_run(disc_clip, name, count):
    options = launcher(name)
    whole, shared = (disc_clip(kind, count=23, masks=(1, 12, 23)).path for kind in ("whole", "shared"))
    assert mask(whole).wait(300) == 0
    shares = ",".join(f"{index}/{count}" for index in range(1, count + 1))
    assert mask(shared, "-m", f"shard={shares}", *options).wait(400) == 0
    assert len(frames(whole)) == 23
    assert frames(shared) == frames(whole)


@pytest.mark.slow
def test_one_of_five_shares_is_killed_while_the_others_go_on_and_is_started_again(disc_clip):
    whole, shared = (disc_clip(kind, count=200, masks=(1, 100, 200)).path for kind in ("whole", "shared"))
    assert mask(whole).wait(300) == 0
    killed = mask(shared, "shard=3/5", start_new_session=True)
    others = [mask(shared, f"shard={index}/5") for index in (1, 2)]
    while "0081.png" not in frames(shared) and killed.poll() is None:
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    others += [mask(shared, f"shard={index}/5") for index in (4, 5)]
    assert [other.wait(300) for other in others] == [0] * 4
    assert len(frames(shared)) < 200
    assert mask(shared, "shard=3/5").wait(300) == 0
    assert frames(shared) == frames(whole)
