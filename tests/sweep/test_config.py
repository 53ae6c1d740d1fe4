"""What a plan refuses, and how objectives become directions."""

import optuna
import pytest

from dreaming.errors import ConfigError


def test_quality_is_to_grow_and_time_to_shrink(plan):
    assert plan().directions == ["maximize"]
    assert plan(objectives=["score", "seconds"]).directions == ["maximize", "minimize"]


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"name": "a/b"}, "sweep.name"),
        ({"name": ".."}, "sweep.name"),
        ({"heartbeat": 0}, "sweep.heartbeat"),
        ({"objectives": []}, "sweep.objectives"),
        ({"objectives": ["score", "score"]}, "sweep.objectives"),
        ({"objectives": ["score", "seconds"], "pruner": optuna.pruners.MedianPruner()}, "sweep/pruner=none"),
    ],
)
def test_what_cannot_be_is_refused(plan, config, word):
    with pytest.raises(ConfigError, match=word):
        plan(**config)
