"""The record of a finished fit."""

import json

import pytest

from dreaming.training.fit_result import FIT_RESULT, FitResult


def test_it_is_read_as_it_was_written(tmp_path):
    result = FitResult("checkpoints/best.ckpt", 0.75, 20, {10: 0.5, 20: 0.75}, 30, 1.5)
    result.write(tmp_path / FIT_RESULT)
    assert FitResult.read(tmp_path / FIT_RESULT) == result


@pytest.mark.parametrize("change", [{"schema": 99}, {"curve": None}])
def test_a_fit_without_a_record_of_this_version_has_not_finished(tmp_path, change):
    path = tmp_path / FIT_RESULT
    assert FitResult.read(path) is None
    FitResult("", 0.75, 20, {}, 30, 1.5).write(path)
    record = {key: value for key, value in {**json.loads(path.read_text()), **change}.items() if value is not None}
    path.write_text(json.dumps(record))
    assert FitResult.read(path) is None
