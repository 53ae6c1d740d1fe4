"""What folds tell together."""

import pytest

from dreaming.training.cross_validation import ValidationResult, mean_curve
from dreaming.training.fit_result import FitResult


def test_a_fold_that_stopped_early_stands_for_its_last_value():
    curves = [{10: 0.2, 20: 0.8, 30: 0.6}, {10: 0.4, 20: 0.5}]
    assert mean_curve(curves) == pytest.approx({10: 0.3, 20: 0.65, 30: 0.55})


@pytest.mark.parametrize(("sign", "steps", "score"), [(1, 20, 0.625), (-1, 10, 0.375)])
def test_of_the_mean_of_the_folds_the_earliest_best_step_counts(tmp_path, sign, steps, score):
    curves = {10: 0.25, 20: 0.75, 30: 0.625}, {10: 0.5, 20: 0.5, 30: 0.625}
    results = [FitResult("checkpoints/best.ckpt", max(curve.values()), 30, curve, 30, 1.0) for curve in curves]
    found = ValidationResult.of_folds(results, [tmp_path], sign)
    assert (found.steps, found.score) == (steps, score)
    assert (found.validation, found.results, found.pictures) == ("folds", tuple(results), (tmp_path,))
