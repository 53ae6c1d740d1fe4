"""Refused settings of a sweep, and the directions of its objectives."""

import optuna
import pytest

from dreaming.errors import ParameterError


def test_score_is_maximised_and_time_minimised(sweep_config):
    assert sweep_config().directions == ["maximize"]
    assert sweep_config(objectives=["score", "seconds"]).directions == ["maximize", "minimize"]


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": ".."}, "name"),
        ({"objectives": []}, "objectives"),
        ({"objectives": ["score", "score"]}, "objectives"),
        ({"objectives": ["score", "seconds"], "pruner": optuna.pruners.MedianPruner()}, "pruner"),
    ],
)
def test_invalid_settings_are_refused(sweep_config, config, name):
    with pytest.raises(ParameterError) as refused:
        sweep_config(**config)
    assert refused.value.name == name
