"""What a trial of several fits reports, and when it ends."""

import optuna
import pytest

from dreaming.sweep.pruning import Course
from dreaming.sweep.study import ask, open_study


@pytest.fixture
def course(study):
    """The course of a new trial, and what it logs."""

    def make(sign=1, pruner=None, **more):
        sweep = study(pruner=pruner)
        (trial,) = ask(sweep, 1)
        logged = []
        return Course(
            trial, "val/jaccard", sign, log=lambda value, percent: logged.append((percent, value)), **more
        ), logged

    return make


def test_the_mean_of_the_best_values_of_all_fits_begun_is_reported(course, plan):
    made, logged = course()
    for fit, share, value in [(0, 0.1, 0.4), (0, 0.2, 0.6), (0, 0.3, 0.5), (1, 0.6, 0.2), (1, 0.7, 0.4)]:
        assert not made.report(fit, share, value)
    reported = open_study(plan()).trials[0].intermediate_values
    assert reported == pytest.approx({10: 0.4, 20: 0.6, 30: 0.6, 60: 0.4, 70: 0.5})
    assert logged == [(percent, pytest.approx(value)) for percent, value in reported.items()]
    assert made.value == pytest.approx(0.5)


def test_of_less_is_better_the_least_counts(course):
    made, _ = course(sign=-1)
    made.report(0, 0.5, 3.0)
    made.report(0, 0.6, 4.0)
    assert made.value == 3.0


def test_a_percent_is_reported_once_and_the_best_is_not_lost(course, plan):
    made, _ = course()
    made.report(0, 0.101, 0.4)
    made.report(0, 0.105, 0.9)
    assert open_study(plan()).trials[0].intermediate_values == {10: 0.4}
    made.report(0, 0.2, 0.1)
    assert open_study(plan()).trials[0].intermediate_values == {10: 0.4, 20: 0.9}


def test_a_hopeless_trial_ends_but_not_at_its_very_end(course):
    made, _ = course(pruner=optuna.pruners.ThresholdPruner(lower=0.5))
    assert not made.report(0, 0.3, 0.6)
    assert made.report(1, 0.7, 0.1)
    assert not made.report(1, 1.0, 0.1)


def test_with_several_objectives_nothing_is_reported(course, plan):
    made, _ = course(prunes=False)
    assert not made.report(0, 0.5, 0.1)
    assert not open_study(plan()).trials[0].intermediate_values
    assert made.value == 0.1


def test_trials_are_compared_with_others_after_the_same_share(study):
    sweep = study(pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=0))
    for value in (0.8, 0.9):
        (trial,) = ask(sweep, 1)
        Course(trial, "m", 1, log=lambda *_: None).report(0, 0.2, value)
        sweep.tell(trial, value)
    worse, better = ask(sweep, 2)
    assert Course(worse, "m", 1, log=lambda *_: None).report(0, 0.2, 0.7)
    assert not Course(better, "m", 1, log=lambda *_: None).report(0, 0.2, 0.86)
