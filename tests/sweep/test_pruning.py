"""The values that a trial of several fits reports, and when it is pruned."""

import optuna
import pytest

from dreaming.sweep.pruning import TrialProgress
from dreaming.sweep.study import ask, open_study


@pytest.fixture
def tracked(study):
    """The progress of a new trial, and the list of its logged values."""

    def make(sign=1, pruner=None, **more):
        sweep = study(pruner=pruner)
        (trial,) = ask(sweep, 1)
        logged = []
        return TrialProgress(
            trial, "val/jaccard", sign, log=lambda value, percent: logged.append((percent, value)), **more
        ), logged

    return make


def test_the_weighted_mean_of_the_best_value_of_each_fit_is_reported(tracked, sweep_config):
    progress, logged = tracked()
    for fit, share, value in [(0, 0.25, 0.4), (0, 0.5, 0.6), (0, 0.75, 0.5), (1, 0.25, 0.2), (1, 0.5, 0.4)]:
        assert not progress.report(fit, 2, share, value)
    reported = open_study(sweep_config()).trials[0].intermediate_values
    # A quarter of the second fit: (0.6 + 0.25 * 0.2) / 1.25; a half of it: (0.6 + 0.5 * 0.4) / 1.5.
    assert reported == pytest.approx({12: 0.4, 25: 0.6, 37: 0.6, 62: 0.52, 75: 0.8 / 1.5})
    assert logged == [(percent, pytest.approx(value)) for percent, value in reported.items()]
    assert progress.report(1, 2, 1.0, 0.3) is False
    assert progress.value == pytest.approx(0.5)


def test_the_lowest_value_counts_if_lower_is_better(tracked):
    progress, _ = tracked(sign=-1)
    progress.report(0, 1, 0.5, 3.0)
    progress.report(0, 1, 0.6, 4.0)
    assert (progress.value, progress.best) == (3.0, 3.0)


@pytest.mark.parametrize(("sign", "values", "best"), [(1, (0.8, 0.2), 0.8), (-1, (0.2, 0.8), 0.2)])
def test_the_best_value_is_kept_when_the_next_fit_starts_lower(tracked, sweep_config, sign, values, best):
    progress, _ = tracked(sign=sign)
    for fit, value in enumerate(values):
        progress.report(fit, 2, 1.0, value)
    reported = open_study(sweep_config()).trials[0].intermediate_values
    assert reported == pytest.approx({50: best, 100: 0.5})
    assert progress.best == best


def test_a_percentage_is_reported_once_and_the_best_value_is_kept(tracked, sweep_config):
    progress, logged = tracked()
    progress.report(0, 1, 0.101, 0.4)
    progress.report(0, 1, 0.105, 0.9)
    assert open_study(sweep_config()).trials[0].intermediate_values == {10: 0.4}
    progress.report(0, 1, 0.2, 0.1)
    assert open_study(sweep_config()).trials[0].intermediate_values == {10: 0.4, 20: 0.9}
    assert logged == [(10, 0.4), (20, 0.9)]


def test_a_poor_trial_is_pruned_but_not_at_its_end(tracked):
    progress, _ = tracked(pruner=optuna.pruners.ThresholdPruner(lower=0.5))
    assert not progress.report(0, 2, 0.6, 0.6)
    assert progress.report(1, 2, 0.4, 0.1)
    assert not progress.report(1, 2, 1.0, 0.1)


def test_a_trial_whose_fold_stopped_early_is_not_pruned_at_the_start_of_the_next_fold(study):
    sweep = study(pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=20, reduction_factor=4))
    slow, quick = ask(sweep, 2)
    for share, value in ((0.9, 0.5), (1.0, 0.6)):
        assert not TrialProgress(slow, "m", 1, log=lambda *_: None).report(0, 5, share, value)
    progress = TrialProgress(quick, "m", 1, log=lambda *_: None)
    assert not progress.report(0, 5, 0.7, 0.7)
    assert not progress.report(1, 5, 0.1, 0.2), "it is still the better one at the first validation of its second fold"


def test_nothing_is_reported_with_two_objectives(tracked, sweep_config):
    progress, _ = tracked(prunes=False)
    assert not progress.report(0, 1, 0.5, 0.1)
    assert not open_study(sweep_config()).trials[0].intermediate_values
    assert progress.value == 0.1


def test_trials_are_compared_at_the_same_percentage(study):
    sweep = study(pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=0))
    for value in (0.8, 0.9):
        (trial,) = ask(sweep, 1)
        TrialProgress(trial, "m", 1, log=lambda *_: None).report(0, 1, 0.2, value)
        sweep.tell(trial, value)
    worse, better = ask(sweep, 2)
    assert TrialProgress(worse, "m", 1, log=lambda *_: None).report(0, 1, 0.2, 0.7)
    assert not TrialProgress(better, "m", 1, log=lambda *_: None).report(0, 1, 0.2, 0.86)
