"""Our sweeper: counts, waits, fails, resumes, under every sampler."""

import itertools
import math
import threading
from contextlib import suppress
from types import SimpleNamespace

import optuna
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from dreaming.cli.config import config_root, register_resolvers
from dreaming.errors import ConfigError
from dreaming.sweep import sweeper as sweeper_module
from dreaming.sweep.study import SURPLUS, ask, count_finished, heartbeat, open_study
from dreaming.sweep.sweeper import StudySweeper

ARGUMENTS = (
    "sampler", "direction", "storage", "study_name", "n_trials", "n_jobs", "max_failure_rate", "custom_search_space",
    "params",
)  # fmt: skip


@pytest.fixture
def ours():
    """Our sweeper of three trials, two at once, with a launcher whose jobs return 0.5 or the given results."""

    def make(results=None, **config):
        made = StudySweeper(
            **{**dict.fromkeys(ARGUMENTS), "n_trials": 3, "n_jobs": 2, "max_failure_rate": 0.0, **config}
        )
        launched = []

        def launch(overrides, initial_job_idx):
            launched.append(len(overrides))
            values = [0.5 if results is None else next(results) for _ in overrides]
            states = [JobStatus.FAILED if isinstance(value, Exception) else JobStatus.COMPLETED for value in values]
            jobs = [JobReturn(status=state) for state in states]
            for job, value in zip(jobs, values, strict=True):
                job.return_value = value
            return jobs

        made.sweeper.launcher = SimpleNamespace(launch=launch)
        return made.sweeper, launched

    return make


@pytest.mark.slow
def test_trials_of_another_machine_are_waited_for(sweep_config, study, ours, caplog):
    caplog.set_level("INFO")
    own, launched = ours()
    own.sweep_config = sweep_config(heartbeat=1)
    sweep, space = study(heartbeat=1), {"lr": FloatDistribution(0.1, 1.0)}
    sweep.ask()  # of a process that was killed before its first heartbeat
    lost, theirs = ask(sweep, 2)
    with heartbeat(sweep, [theirs], 1):
        thread = threading.Timer(2.0, lambda: sweep.tell(theirs, 0.7))
        thread.start()
        own._run(sweep, space, {}, [])
        thread.join()
    assert count_finished(sweep) == 3
    assert launched == [1, 1], "the third starts once the lost one is known to be lost"
    assert lost.number in {trial.number for trial in sweep.trials if trial.state.name == "FAIL"}
    counts = [record.args[1] for record in caplog.records if record.levelname == "INFO"]
    assert sum(isinstance(count, int) for count in counts) == 1, "waiting is logged once"


def test_two_processes_that_ask_together_end_with_the_wanted_number_of_trials(sweep_config, study, ours, monkeypatch):
    study(heartbeat=1)
    barrier = threading.Barrier(2)

    def ask_together(sweep, count):
        asked = ask(sweep, count)
        with suppress(threading.BrokenBarrierError):
            barrier.wait(3)
        return asked

    def run(own):
        own.sweep_config = sweep_config(heartbeat=1)
        own._run(
            open_study(own.sweep_config, optuna.samplers.RandomSampler(seed=0)),
            {"lr": FloatDistribution(0.1, 1.0)},
            {},
            [],
        )

    monkeypatch.setattr(sweeper_module, "ask", ask_together)
    threads = [threading.Thread(target=run, args=(ours()[0],)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    sweep = study(heartbeat=1)
    complete = sweep.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert count_finished(sweep) == len(complete) == 3
    assert all(trial.user_attrs.get(SURPLUS) for trial in sweep.trials if trial.number not in (0, 1, 2))
    assert len({trial.params["lr"] for trial in complete}) == 3, "different draws although the seed is the same"


TOO_DEEP = ConfigError("crop", found="32 pixels", expected="at least 33", hint="set crop=33")


def limited(own, sweep_config):
    own.sweep_config = sweep_config(max_failures=3)
    sweep = open_study(own.sweep_config, optuna.samplers.RandomSampler(seed=0))
    return sweep, lambda: own._run(sweep, {"lr": FloatDistribution(0.1, 1.0)}, {}, [])


@pytest.mark.parametrize(
    ("result", "words"), [(TOO_DEEP, "crop: found 32 pixels, expected at least 33; set crop=33"), (math.nan, "nan")]
)
def test_a_sweep_ends_after_too_many_failures_in_a_row(sweep_config, ours, result, words):
    own, _ = ours(itertools.chain([0.5], itertools.repeat(result)), n_jobs=1)
    sweep, run = limited(own, sweep_config)
    with pytest.raises(ConfigError) as ended:
        run()
    assert ended.value.where == "sweep unet"
    assert ended.value.found.startswith("3 failed")
    assert words in ended.value.found
    assert "1 of 3" in ended.value.expected
    assert [trial.state.name for trial in sweep.trials] == ["COMPLETE", "FAIL", "FAIL", "FAIL"]


def test_occasional_failures_do_not_end_a_sweep(sweep_config, ours, caplog):
    own, _ = ours(itertools.cycle([TOO_DEEP, TOO_DEEP, 0.5]), n_jobs=1)
    sweep, run = limited(own, sweep_config)
    run()
    assert count_finished(sweep) == 3
    assert sum(TOO_DEEP in record.args for record in caplog.records if record.levelname == "WARNING") == 6


GRID = {"_target_": "optuna.samplers.GridSampler", "_partial_": True}


def test_a_grid_ends_with_its_last_value(sweep_config, ours, caplog):
    own, _ = ours(sampler=OmegaConf.create(GRID), n_trials=20)
    own.sweep_config, space = sweep_config(), {"depth": IntDistribution(1, 3)}
    sweep = open_study(own.sweep_config, own._create_sampler(space))
    own._run(sweep, space, {}, [])
    assert [trial.state.name for trial in sweep.trials] == ["COMPLETE"] * len(sweep.trials)
    assert {trial.params["depth"] for trial in sweep.trials} == {1, 2, 3}
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_grid_refuses_an_interval(ours):
    own, _ = ours(sampler=OmegaConf.create(GRID))
    with pytest.raises(ConfigError) as refused:
        own._create_sampler({"lr": FloatDistribution(0.1, 1.0)})
    assert (refused.value.where, refused.value.found) == ("lr", "an interval")


MIXED = {
    "lr": FloatDistribution(1e-4, 0.1, log=True),
    "depth": IntDistribution(1, 3),
    "norm": CategoricalDistribution(("batch", "group")),
}


@pytest.mark.parametrize("sampler", ["tpe_5", "tpe", "random", "gp", "cmaes", "qmc", "nsgaii", "nsgaiii"])
def test_every_sampler_resumes_a_sweep(sweep_config, ours, sampler):
    register_resolvers()
    with initialize_config_dir(str(config_root() / "conf")):
        overrides = ["clip=x", "sweep=cnn", "hydra.mode=MULTIRUN", f"hydra/sweeper/sampler={sampler}"]
        config = compose("train", overrides=overrides, return_hydra_config=True).hydra.sweeper.sampler
    numbers = itertools.count(1)
    for trials in (6, 9):
        own, _ = ours((1 / number for number in numbers), sampler=config, n_trials=trials)
        own.sweep_config = sweep_config()
        sweep = open_study(own.sweep_config, own._create_sampler(MIXED))
        own._run(sweep, MIXED, {}, [])
        assert [trial.state.name for trial in sweep.trials] == ["COMPLETE"] * trials
    assert len({tuple(trial.params.values()) for trial in sweep.trials}) == 9
