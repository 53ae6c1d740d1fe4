"""The undocumented parts of hydra-optuna-sweeper that dreaming depends on; fails where another version differs."""

import functools
import inspect
import sys

import hydra
import optuna
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl, create_params_from_overrides
from hydra_plugins.hydra_optuna_sweeper.optuna_sweeper import OptunaSweeper
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from dreaming.sweep.sweeper import StudySweeper

ARGUMENTS = (
    "sampler", "direction", "storage", "study_name", "n_trials", "n_jobs", "max_failure_rate", "custom_search_space",
    "params",
)  # fmt: skip


@pytest.fixture
def sweeper():
    """The plugin's own sweeper with some parameters."""

    def make(**params):
        config = dict.fromkeys(ARGUMENTS) | {"n_trials": 3, "n_jobs": 2, "max_failure_rate": 0.0}
        return OptunaSweeperImpl(**{**config, "params": OmegaConf.create(params) if params else None})

    return make


@pytest.fixture
def jobs(monkeypatch, tmp_path, unchanged_logging):
    """Sweep a program with the plugin itself; return the overrides of each job."""

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
        with unchanged_logging():
            program()
        return seen

    yield run
    GlobalHydra.instance().clear()


def test_the_constructors_take_our_arguments():
    for made in (OptunaSweeper, OptunaSweeperImpl):
        assert tuple(inspect.signature(made).parameters) == ARGUMENTS
    sampler = {"_target_": "optuna.samplers.RandomSampler", "seed": 3}
    config = dict.fromkeys(ARGUMENTS) | {"n_trials": 4, "n_jobs": 2, "max_failure_rate": 0.5, "sampler": sampler}
    outer = StudySweeper(**config)
    assert isinstance(outer.sweeper, OptunaSweeperImpl)
    assert isinstance(outer.sweeper.sampler, optuna.samplers.RandomSampler), "it instantiates the sampler"
    assert (outer.sweeper.n_trials, outer.sweeper.n_jobs, outer.sweeper.job_idx) == (4, 2, 0)


def test_a_grid_sampler_stays_a_function_of_the_space():
    config = OmegaConf.create({"_target_": "optuna.samplers.GridSampler", "_partial_": True})
    grid = OptunaSweeper(**{**dict.fromkeys(ARGUMENTS), "sampler": config, "max_failure_rate": 0.0}).sweeper.sampler
    assert isinstance(grid, functools.partial)
    assert grid.func is optuna.samplers.GridSampler


def test_setup_keeps_the_config_and_instantiates_the_launcher(sweeper, monkeypatch):
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
def test_a_searched_override_becomes_a_distribution(text, distribution):
    space, fixed, others = create_params_from_overrides([text])
    assert (space, fixed, others) == ({"a.lr": distribution}, {}, [])


def test_other_overrides_are_fixed_or_passed_on():
    texts = ["lr=0.5", "+guide@guide.wide=gauss", "model=cnn", "guides=[a,b]", "~guide.edges"]
    space, fixed, others = create_params_from_overrides(texts)
    assert space == {}
    assert fixed == {"lr": "0.5", "+guide@guide.wide": "gauss", "model": "cnn", "guides": "[a,b]"}
    assert others == ["~guide.edges"]
    with pytest.raises(HydraException):
        create_params_from_overrides(["lr=interval("])


def test_its_parameters_become_overrides(sweeper):
    assert sweeper(**{"a.lr": "interval(0.1,0.5)", "a.depth": 3})._parse_sweeper_params_config() == [
        "a.lr=interval(0.1,0.5)",
        "a.depth=3",
    ]
    nothing = sweeper()
    nothing._process_searchspace_config()
    assert nothing._parse_sweeper_params_config() == []


def test_a_trial_becomes_overrides_and_records_the_fixed_ones(sweeper, study):
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
def test_a_grid_takes_all_values_of_a_discrete_distribution(sweeper, distribution, choices):
    assert list(sweeper()._to_grid_sampler_choices(distribution)) == choices


def test_a_grid_refuses_a_continuous_distribution(sweeper):
    with pytest.raises(ValueError, match="discrete"):
        sweeper()._to_grid_sampler_choices(FloatDistribution(0.0, 1.0))


def test_a_job_receives_its_trials_parameters_as_overrides(jobs, tmp_path):
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
