"""What is relied on in hydra-optuna-sweeper, which promises none of it: fails where another version differs."""

import functools
import inspect
import itertools
import math
import sys
import threading
from contextlib import suppress
from types import SimpleNamespace

import hydra
import optuna
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl, create_params_from_overrides
from hydra_plugins.hydra_optuna_sweeper.optuna_sweeper import OptunaSweeper
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from dreaming.cli.config import config_root, register_resolvers
from dreaming.errors import ConfigError
from dreaming.sweep import sweeper as sweeper_module
from dreaming.sweep.study import SURPLUS, ask, finished, heartbeat, open_study
from dreaming.sweep.sweeper import StudySweeper

ARGUMENTS = (
    "sampler", "direction", "storage", "study_name", "n_trials", "n_jobs", "max_failure_rate", "custom_search_space",
    "params",
)  # fmt: skip


@pytest.fixture
def sweeper():
    """The plugin's own sweeper of some parameters."""

    def make(**params):
        config = dict.fromkeys(ARGUMENTS) | {"n_trials": 3, "n_jobs": 2, "max_failure_rate": 0.0}
        return OptunaSweeperImpl(**{**config, "params": OmegaConf.create(params) if params else None})

    return make


@pytest.fixture
def jobs(monkeypatch, tmp_path):
    """Sweep a program of two values under the plugin itself; return the overrides that each of its jobs has."""

    def run(*arguments):
        seen = []

        @hydra.main(config_path=str(tmp_path))
        def program(config):
            seen.append(list(HydraConfig.get().overrides.task))
            return config.depth

        monkeypatch.setattr(
            sys, "argv",
            ["x", "-m", "hydra/sweeper=optuna", f"hydra.sweep.dir={tmp_path}", "hydra/job_logging=none", *arguments],
        )  # fmt: skip
        GlobalHydra.instance().clear()
        program()
        return seen

    yield run
    GlobalHydra.instance().clear()


def test_its_constructor_takes_what_ours_passes_on():
    for made in (OptunaSweeper, OptunaSweeperImpl):
        assert tuple(inspect.signature(made).parameters) == ARGUMENTS
    sampler = {"_target_": "optuna.samplers.RandomSampler", "seed": 3}
    config = dict.fromkeys(ARGUMENTS) | {"n_trials": 4, "n_jobs": 2, "max_failure_rate": 0.5, "sampler": sampler}
    outer = StudySweeper(**config)
    assert isinstance(outer.sweeper, OptunaSweeperImpl)
    assert isinstance(outer.sweeper.sampler, optuna.samplers.RandomSampler), "it makes the sampler, and keeps it there"
    assert (outer.sweeper.n_trials, outer.sweeper.n_jobs, outer.sweeper.job_idx) == (4, 2, 0)


def test_a_grid_comes_as_a_function_of_the_space():
    config = OmegaConf.create({"_target_": "optuna.samplers.GridSampler", "_partial_": True})
    grid = OptunaSweeper(**{**dict.fromkeys(ARGUMENTS), "sampler": config, "max_failure_rate": 0.0}).sweeper.sampler
    assert isinstance(grid, functools.partial)
    assert grid.func is optuna.samplers.GridSampler


def test_its_setup_keeps_the_config_and_makes_the_launcher(sweeper, monkeypatch):
    monkeypatch.setattr(Plugins.instance(), "instantiate_launcher", lambda **given: ("launcher", sorted(given)))
    made, config = sweeper(), OmegaConf.create({"hydra": {"sweep": {"dir": "d"}}})
    made.job_idx = 7
    made.setup(hydra_context=None, task_function=print, config=config)
    assert made.config is config
    assert made.job_idx == 0
    assert made.launcher == ("launcher", ["config", "hydra_context", "task_function"])


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("a.lr=interval(0.1,0.5)", FloatDistribution(0.1, 0.5)),
        ("a.lr=tag(log,interval(1e-4,1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("a.lr=tag(log,int(interval(1,32)))", IntDistribution(1, 32, log=True)),
        ("a.lr=int(interval(1,4))", IntDistribution(1, 4)),
        ("a.lr=range(2,9)", IntDistribution(2, 8)),
        ("a.lr=range(0,22,2)", IntDistribution(0, 20, step=2)),
        ("a.lr=choice(batch,group)", CategoricalDistribution(("batch", "group"))),
        ("a.lr=choice(true,false)", CategoricalDistribution((True, False))),
        ("a.lr=1,2,null", CategoricalDistribution((1, 2, "null"))),
    ],
)
def test_what_is_searched_becomes_a_distribution(text, distribution):
    space, fixed, others = create_params_from_overrides([text])
    assert (space, fixed, others) == ({"a.lr": distribution}, {}, [])


def test_what_is_not_searched_is_fixed_or_handed_on():
    texts = ["lr=0.5", "+guide@guide.wide=gauss", "model=cnn", "guides=[a,b]", "~guide.edges"]
    space, fixed, others = create_params_from_overrides(texts)
    assert space == {}
    assert fixed == {"lr": "0.5", "+guide@guide.wide": "gauss", "model": "cnn", "guides": "[a,b]"}
    assert others == ["~guide.edges"]
    with pytest.raises(HydraException):
        create_params_from_overrides(["lr=interval("])


def test_its_own_parameters_become_overrides(sweeper):
    assert sweeper(**{"a.lr": "interval(0.1,0.5)", "a.depth": 3})._parse_sweeper_params_config() == [
        "a.lr=interval(0.1,0.5)",
        "a.depth=3",
    ]
    nothing = sweeper()
    nothing._process_searchspace_config()
    assert nothing._parse_sweeper_params_config() == []


def test_a_trial_is_written_as_overrides_and_remembers_what_is_fixed(sweeper, study):
    made, sweep = sweeper(), study()
    trials = [sweep.ask(), sweep.ask()]
    space = {"a.lr": FloatDistribution(1e-9, 1e-4, log=True), "a.norm": CategoricalDistribution(("batch", "null"))}
    overrides = made._configure_trials(trials, space, {"model": "cnn"}, ["~guide.edges"])
    for trial, texts in zip(trials, overrides, strict=True):
        searched = [f"{name}={trial.params[name]}" for name in space]
        assert list(texts) == [*searched, "model=cnn", "~guide.edges"]
        assert trial.user_attrs["model"] == "cnn"


@pytest.mark.parametrize(
    ("distribution", "choices"),
    [
        (CategoricalDistribution(("a", "b")), ["a", "b"]),
        (IntDistribution(2, 8, step=3), [2, 5, 8]),
        (FloatDistribution(0.0, 1.0, step=0.5), [0.0, 0.5, 1.0]),
    ],
)
def test_a_grid_takes_all_values_of_what_is_discrete(sweeper, distribution, choices):
    assert list(sweeper()._to_grid_sampler_choices(distribution)) == choices


def test_of_a_grid_nothing_else_is_taken(sweeper):
    with pytest.raises(ValueError, match="discrete"):
        sweeper()._to_grid_sampler_choices(FloatDistribution(0.0, 1.0))


def test_a_job_has_its_trials_parameters_as_overrides(jobs, tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    seen = jobs(
        "+depth=range(2,6)", "+norm=choice(batch,group)", "+seed=3", f"hydra.sweeper.storage='{storage}'",
        "hydra.sweeper.study_name=s", "hydra.sweeper.n_trials=3",
    )  # fmt: skip
    trials = optuna.load_study(study_name="s", storage=storage).trials
    assert len(trials) == len(seen) == 3
    for trial, overrides in zip(trials, seen, strict=True):
        assert {f"{name}={value}" for name, value in trial.params.items()} <= set(overrides)
        assert "+seed=3" in overrides


@pytest.fixture
def ours():
    """Our own sweeper of three trials, two at once, under a launcher whose jobs end with 0.5, or as told."""

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


def test_what_another_machine_runs_is_waited_for_and_not_run_beside_it(plan, study, ours, caplog):
    caplog.set_level("INFO")
    own, launched = ours()
    own.plan = plan(heartbeat=1)
    sweep, space = study(heartbeat=1), {"lr": FloatDistribution(0.1, 1.0)}
    sweep.ask()  # of a process that was killed before its first sign of life; nobody waits for it
    lost, theirs = ask(sweep, 2)
    with heartbeat(sweep, [theirs], 1):
        thread = threading.Timer(2.0, lambda: sweep.tell(theirs, 0.7))
        thread.start()
        own._run(sweep, space, {}, [])
        thread.join()
    assert finished(sweep) == 3
    assert launched == [1, 1], "the third is begun only when the lost one is known to be lost"
    assert lost.number in {trial.number for trial in sweep.trials if trial.state.name == "FAIL"}
    assert caplog.text.count("waiting for trials") == 1


def test_two_that_ask_before_either_counts_end_with_as_many_trials_as_are_wanted(plan, study, ours, monkeypatch):
    study(heartbeat=1)
    barrier = threading.Barrier(2)

    def ask_together(sweep, count):
        asked = ask(sweep, count)
        with suppress(threading.BrokenBarrierError):
            barrier.wait(3)
        return asked

    def run(own):
        own.plan = plan(heartbeat=1)
        own._run(
            open_study(own.plan, optuna.samplers.RandomSampler(seed=0)), {"lr": FloatDistribution(0.1, 1.0)}, {}, []
        )

    monkeypatch.setattr(sweeper_module, "ask", ask_together)
    threads = [threading.Thread(target=run, args=(ours()[0],)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    sweep = study(heartbeat=1)
    complete = sweep.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert finished(sweep) == len(complete) == 3
    assert all(trial.user_attrs.get(SURPLUS) for trial in sweep.trials if trial.number not in (0, 1, 2))
    assert len({trial.params["lr"] for trial in complete}) == 3, "of one seed, and yet not the same draws"


TOO_DEEP = ConfigError("crop", found="32 pixels", expected="at least 33", hint="say crop=33")


def begun(own, plan):
    own.plan = plan(max_failures=3)
    sweep = open_study(own.plan, optuna.samplers.RandomSampler(seed=0))
    return sweep, lambda: own._run(sweep, {"lr": FloatDistribution(0.1, 1.0)}, {}, [])


@pytest.mark.parametrize(
    ("result", "words"), [(TOO_DEEP, "crop: found 32 pixels, expected at least 33; say crop=33"), (math.nan, "nan")]
)
def test_a_sweep_whose_trials_fail_one_after_another_ends_in_a_sentence(plan, ours, result, words):
    own, _ = ours(itertools.chain([0.5], itertools.repeat(result)), n_jobs=1)
    sweep, run = begun(own, plan)
    with pytest.raises(ConfigError, match=r"found 3 failed trials in a row.*1 of 3 did.*start it again") as ended:
        run()
    assert words in str(ended.value)
    assert [trial.state.name for trial in sweep.trials] == ["COMPLETE", "FAIL", "FAIL", "FAIL"]


def test_trials_that_fail_now_and_then_do_not_end_a_sweep(plan, ours, caplog):
    own, _ = ours(itertools.cycle([TOO_DEEP, TOO_DEEP, 0.5]), n_jobs=1)
    sweep, run = begun(own, plan)
    run()
    assert finished(sweep) == 3
    assert caplog.text.count("failed: crop: found 32 pixels") == 6


GRID = {"_target_": "optuna.samplers.GridSampler", "_partial_": True}


def test_a_grid_ends_with_its_last_value_and_that_one_counts(plan, ours, caplog):
    own, _ = ours(sampler=OmegaConf.create(GRID), n_trials=20)
    own.plan, space = plan(), {"depth": IntDistribution(1, 3)}
    sweep = open_study(own.plan, own._sampler(space))
    own._run(sweep, space, {}, [])
    assert [trial.state.name for trial in sweep.trials] == ["COMPLETE"] * len(sweep.trials)
    assert {trial.params["depth"] for trial in sweep.trials} == {1, 2, 3}
    assert "failed" not in caplog.text


def test_a_grid_of_an_interval_is_refused_in_a_sentence(ours):
    own, _ = ours(sampler=OmegaConf.create(GRID))
    with pytest.raises(ConfigError, match=r"lr: found an interval.*lr=choice"):
        own._sampler({"lr": FloatDistribution(0.1, 1.0)})


MIXED = {
    "lr": FloatDistribution(1e-4, 0.1, log=True),
    "depth": IntDistribution(1, 3),
    "norm": CategoricalDistribution(("batch", "group")),
}


@pytest.mark.parametrize("sampler", ["tpe_5", "tpe", "random", "gp", "cmaes", "qmc", "nsgaii", "nsgaiii"])
def test_every_sampler_goes_on_where_a_sweep_was_left(plan, ours, sampler):
    register_resolvers()
    with initialize_config_dir(str(config_root() / "conf")):
        overrides = ["clip=x", "sweep=cnn", "hydra.mode=MULTIRUN", f"hydra/sweeper/sampler={sampler}"]
        config = compose("train", overrides=overrides, return_hydra_config=True).hydra.sweeper.sampler
    numbers = itertools.count(1)
    for trials in (6, 9):
        own, _ = ours((1 / number for number in numbers), sampler=config, n_trials=trials)
        own.plan = plan()
        sweep = open_study(own.plan, own._sampler(MIXED))
        own._run(sweep, MIXED, {}, [])
        assert [trial.state.name for trial in sweep.trials] == ["COMPLETE"] * trials
    assert len({tuple(trial.params.values()) for trial in sweep.trials}) == 9
