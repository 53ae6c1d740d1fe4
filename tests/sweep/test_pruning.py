"""What a trial of several fits reports, and when it ends."""

import optuna
import pytest

from dreaming.sweep.pruning import TrialProgress
from dreaming.sweep.study import ask, open_study


@pytest.fixture
def course(study):
    """The course of a new trial, and what it logs."""

    def make(sign=1, pruner=None, **more):
        sweep = study(pruner=pruner)
        (trial,) = ask(sweep, 1)
        logged = []
        return TrialProgress(
            trial, "val/jaccard", sign, log=lambda value, percent: logged.append((percent, value)), **more
        ), logged

    return make


def test_the_mean_of_the_best_values_of_all_fits_begun_is_reported_the_running_one_as_far_as_it_got(course, plan):
    made, logged = course()
    for fit, share, value in [(0, 0.25, 0.4), (0, 0.5, 0.6), (0, 0.75, 0.5), (1, 0.25, 0.2), (1, 0.5, 0.4)]:
        assert not made.report(fit, 2, share, value)
    reported = open_study(plan()).trials[0].intermediate_values
    # A quarter of the second fit: (0.6 + 0.25 * 0.2) / 1.25; a half of it: (0.6 + 0.5 * 0.4) / 1.5.
    assert reported == pytest.approx({12: 0.4, 25: 0.6, 37: 0.6, 62: 0.52, 75: 0.8 / 1.5})
    assert logged == [(percent, pytest.approx(value)) for percent, value in reported.items()]
    assert made.report(1, 2, 1.0, 0.3) is False
    assert made.value == pytest.approx(0.5)


def test_of_less_is_better_the_least_counts(course):
    made, _ = course(sign=-1)
    made.report(0, 1, 0.5, 3.0)
    made.report(0, 1, 0.6, 4.0)
    assert (made.value, made.best) == (3.0, 3.0)


@pytest.mark.parametrize(("sign", "values", "best"), [(1, (0.8, 0.2), 0.8), (-1, (0.2, 0.8), 0.2)])
def test_the_best_that_was_reported_is_kept_when_the_next_fit_begins_worse(course, plan, sign, values, best):
    made, _ = course(sign=sign)
    for fit, value in enumerate(values):
        made.report(fit, 2, 1.0, value)
    reported = open_study(plan()).trials[0].intermediate_values
    assert reported == pytest.approx({50: best, 100: 0.5})
    assert made.best == best


def test_a_percent_is_reported_once_and_the_best_is_not_lost(course, plan):
    made, _ = course()
    made.report(0, 1, 0.101, 0.4)
    made.report(0, 1, 0.105, 0.9)
    assert open_study(plan()).trials[0].intermediate_values == {10: 0.4}
    made.report(0, 1, 0.2, 0.1)
    assert open_study(plan()).trials[0].intermediate_values == {10: 0.4, 20: 0.9}


def test_a_hopeless_trial_ends_but_not_at_its_very_end(course):
    made, _ = course(pruner=optuna.pruners.ThresholdPruner(lower=0.5))
    assert not made.report(0, 2, 0.6, 0.6)
    assert made.report(1, 2, 0.4, 0.1)
    assert not made.report(1, 2, 1.0, 0.1)


def test_a_trial_whose_fold_ended_early_is_not_ended_for_the_next_ones_beginning(study):
    sweep = study(pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=20, reduction_factor=4))
    slow, quick = ask(sweep, 2)
    for share, value in ((0.9, 0.5), (1.0, 0.6)):
        assert not TrialProgress(slow, "m", 1, log=lambda *_: None).report(0, 5, share, value)
    course = TrialProgress(quick, "m", 1, log=lambda *_: None)
    assert not course.report(0, 5, 0.7, 0.7)
    assert not course.report(1, 5, 0.1, 0.2), "at its second fold's first validation it is still the better one"


def test_with_several_objectives_nothing_is_reported(course, plan):
    made, _ = course(prunes=False)
    assert not made.report(0, 1, 0.5, 0.1)
    assert not open_study(plan()).trials[0].intermediate_values
    assert made.value == 0.1


def test_trials_are_compared_with_others_after_the_same_share(study):
    sweep = study(pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=0))
    for value in (0.8, 0.9):
        (trial,) = ask(sweep, 1)
        TrialProgress(trial, "m", 1, log=lambda *_: None).report(0, 1, 0.2, value)
        sweep.tell(trial, value)
    worse, better = ask(sweep, 2)
    assert TrialProgress(worse, "m", 1, log=lambda *_: None).report(0, 1, 0.2, 0.7)
    assert not TrialProgress(better, "m", 1, log=lambda *_: None).report(0, 1, 0.2, 0.86)
