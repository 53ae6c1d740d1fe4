"""A job finds its own trial by the parameters in its overrides."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from dreaming.errors import ConfigError
from dreaming.sweep.trial import FOLDER, claim_trial

SPACE = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "padding": CategoricalDistribution(["none", "zero"]),
    "separable": CategoricalDistribution([True, False]),
    "holes": CategoricalDistribution(["null", 0.01]),
}


def overrides(params):
    return [*(f"{name}={value}" for name, value in params.items()), "model=unet", "clip=c"]


def test_each_job_finds_its_own_trial(disc_clip, sweep_config, study):
    clip, sweep = disc_clip(masks=(1,)).clip, study()
    trials = [sweep.ask(SPACE) for _ in range(6)]
    claimed = [
        claim_trial(sweep_config(), overrides(trial.params), clip, clip.path / "runs" / str(trial.number))
        for trial in reversed(trials)
    ]
    assert [trial.number for trial in claimed] == [5, 4, 3, 2, 1, 0]
    assert sweep.trials[3].user_attrs[FOLDER] == "runs/3"


def test_jobs_of_equal_parameters_claim_different_trials(disc_clip, sweep_config, study):
    clip, sweep = disc_clip(masks=(1,)).clip, study()
    space = {"padding": CategoricalDistribution(["zero"])}
    for _ in range(3):
        sweep.ask(space)
    numbers = [claim_trial(sweep_config(), ["padding=zero"], clip, clip.path / str(k)).number for k in range(3)]
    assert sorted(numbers) == [0, 1, 2]
    with pytest.raises(ConfigError):
        claim_trial(sweep_config(), ["padding=zero"], clip, clip.path / "3")


def test_a_trial_without_all_its_values_is_not_claimed(disc_clip, sweep_config, study):
    clip, sweep = disc_clip(masks=(1,)).clip, study()
    sweep.ask()
    partial = sweep.ask({"padding": CategoricalDistribution(["zero"])})
    own = sweep.ask({"padding": CategoricalDistribution(["zero"]), "lr": SPACE["lr"]})
    assert claim_trial(sweep_config(), overrides(own.params), clip, clip.path / "own").number == own.number
    sweep.tell(partial, 0.5)
    with pytest.raises(ConfigError):
        claim_trial(sweep_config(), overrides(own.params), clip, clip.path / "own")


def test_a_job_without_a_trial_is_refused(disc_clip, sweep_config, study):
    clip, sweep = disc_clip(masks=(1,)).clip, study()
    trial = sweep.ask(SPACE)
    with pytest.raises(ConfigError):
        claim_trial(sweep_config(), overrides({**trial.params, "lr": 7}), clip, clip.path)
    sweep.tell(trial, 0.5)
    with pytest.raises(ConfigError):
        claim_trial(sweep_config(), overrides(trial.params), clip, clip.path)
