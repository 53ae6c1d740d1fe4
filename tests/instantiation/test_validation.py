from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from dreaming.constraints import NonNegativeFloat, PositiveInt, Range, UnitFloat
from dreaming.instantiation.validation import Problem, describe, find_problem

NODE = {"_target_": "dreaming.training.context.FitLimits"}
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("hint", "accepted", "refused"),
    [
        (int, [3, 0, -1], [3.0, True, "3", None, [3], NODE]),
        (float, [3, 0.5], [True, "a", None, NAN, INF, NODE]),
        (bool, [True, False], [0, "yes", None]),
        (str, ["a", ""], [3, None, ["a"]]),
        (int | None, [3, None], ["null", 1.5]),
        (Literal["max", "min"], ["max"], ["maximum", None]),
        (Sequence[int], [[1, 2], [], NODE], [1, [1, "a"], "12"]),
        (tuple[int, int], [[1, 2]], [[1], [1, 2, 3], ["a", 2], 3]),
        (tuple[int, ...], [[], [1, 2, 3]], [["a"], 3]),
        (Mapping[str, float], [{"a": 1}, {}, NODE], [{"a": "b"}, {"a": NAN}, 1]),
        (Path | None, ["a/b", None], [3, ["a"]]),
        (Callable[..., int], [NODE], [3, "a", None, {}]),
        (Path | Callable[..., int] | None, [NODE, None, "a"], [3, {}]),
        (dict, [{}], [3]),
        (Any, [3, "a", None, [1], {}, NODE, NAN], []),
        (PositiveInt, [1], [0, -1, 1.5]),
        (UnitFloat, [0, 1, 0.5], [-0.1, 1.1, NAN]),
        (NonNegativeFloat | None, [0, None], [-1, INF]),
        (Annotated[float, Range(gt=0, lt=1)], [0.5], [0, 1]),
        (tuple[PositiveInt, ...], [[1]], [[1, 0]]),
        (Mapping[str, NonNegativeFloat], [{"a": 0.0}], [{"a": -1}]),
    ],
)
def test_plain_values_of_annotated_types(hint, accepted, refused):
    assert not [value for value in accepted if find_problem(value, hint)]
    assert not [value for value in refused if not find_problem(value, hint)]
    assert "<" not in describe(hint)


def test_a_problem_is_located_below_its_parameter():
    assert find_problem({"a": 1, "b": -1}, Mapping[str, NonNegativeFloat]) == Problem(
        ".b", "-1", "a number, at least 0 and at most 1e+06"
    )
    assert find_problem([[1, 2], [3, 0]], list[tuple[int, PositiveInt]]) == Problem(
        "[1][1]", "0", "a whole number, at least 1 and at most 1e+09"
    )
    assert find_problem([1, "a"], list[int] | None) == Problem("[1]", "'a'", "a whole number")
    assert find_problem("a", list[int] | None) == Problem("", "'a'", "a list of [a whole number] or null")
    assert find_problem([1, "a"], list[int | None]) == Problem("[1]", "'a'", "a whole number or null")
    assert find_problem([1], tuple[int, int]) == Problem("", "[1]", "a list of [a whole number, a whole number]")
