from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from dreaming.cli.values import check_values, describe, fits
from dreaming.errors import ConfigError

NODE = {"_target_": "dreaming.training.context.FitLimits"}


@pytest.mark.parametrize(
    ("hint", "taken", "refused"),
    [
        (int, [3, 0, -1], [3.0, True, "3", None, [3]]),
        (float, [3, 0.5], [True, "a", None]),
        (bool, [True, False], [0, "yes", None]),
        (str, ["a", ""], [3, None, ["a"]]),
        (int | None, [3, None], ["null", 1.5]),
        (Literal["max", "min"], ["max"], ["maximum", None]),
        (Sequence[int], [[1, 2], []], [1, [1, "a"], "12"]),
        (tuple[int, int], [[1, 2]], [[1], [1, 2, 3], ["a", 2], 3]),
        (tuple[int, ...], [[], [1, 2, 3]], [["a"], 3]),
        (Mapping[str, float], [{"a": 1}, {}], [{"a": "b"}, 1]),
        (Path | None, ["a/b", None], [3, ["a"]]),
        (Callable[..., int], [NODE], [3, "a", None, {}]),
        (dict, [{}], [3]),
        (Any, [3, "a", None, [1], {}, NODE], []),
    ],
)
def test_plain_values_of_annotated_types(hint, taken, refused):
    assert all(fits(value, hint) for value in taken)
    assert not any(fits(value, hint) for value in refused)
    assert not describe(hint).startswith("<")


def budget(**more):
    return {"seed": 0, "model": {"unet": {"_target_": "dreaming.training.context.FitLimits", "max_steps": 5, **more}}}


def test_nodes_are_compared_with_what_they_build():
    check_values(budget(max_time=1.5), lambda target: True)
    check_values(budget(max_time=None), lambda target: True)
    with pytest.raises(ConfigError, match=r"^model\.unet\.max_time: found 'a', expected a number or null"):
        check_values(budget(max_time="a"), lambda target: True)
    with pytest.raises(ConfigError, match=r"^model\.unet\.steps: found a key that nothing takes, .*max_steps"):
        check_values(budget(steps=3), lambda target: True)
    with pytest.raises(ConfigError, match=r"^seed"):
        check_values({"seed": None}, lambda target: True)


def test_what_is_not_trusted_is_not_even_imported():
    check_values({"model": {"x": {"_target_": "antigravity.fly", "speed": 1}}}, lambda target: False)
