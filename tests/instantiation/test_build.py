"""Building objects from config nodes, and refusing those that do not fit."""

import functools
import math
import pickle
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import torch
from omegaconf import OmegaConf

from dreaming.constraints import PositiveInt, Range
from dreaming.errors import ConfigError, MaskError, ParameterError
from dreaming.instantiation import build as building
from dreaming.instantiation.build import build, validate


@dataclass(frozen=True)
class Part:
    """A stand-in for a library's class."""

    width: PositiveInt = 1
    share: Annotated[float, Range(gt=0, le=1)] = 0.5
    odd: int = 3

    def __post_init__(self) -> None:
        if self.odd % 2 == 0:
            raise ParameterError("odd", found=self.odd, expected="an odd number", hint="add 1")


class Whole:
    def __init__(self, part: Any, names: list[str], **more: int) -> None:
        if isinstance(part, Part) and part.width > 99:
            raise ParameterError("part.width", found=part.width, expected="at most 99")
        self.part, self.names, self.more = part, names, more


def old_style(value: int = 0) -> None:
    raise MaskError("x", found="a", expected="b")


def ours(value: int = 0) -> None:
    raise ValueError("a bug")


THINGS = {"Part": Part, "Whole": Whole, "old_style": old_style, "ours": ours}
for thing in (old_style, ours):
    thing.__module__ = "dreaming.tests"


@pytest.fixture(autouse=True)
def _targets(monkeypatch):
    """Let this file's classes be found as ``t.Name``."""
    known = building.find_target
    monkeypatch.setattr(building, "find_target", lambda name: THINGS[name[2:]] if name[:2] == "t." else known(name))


def node(name, **keys):
    return {"_target_": f"t.{name}", **keys}


def refusal(config, key="a", call=build):
    with pytest.raises(ConfigError) as error:
        call(OmegaConf.create(config), *([key] if call is build else []))
    return error.value


def test_nodes_are_built_with_plain_values_and_what_is_given():
    config = {"a": node("Whole", part=node("Part", width=2), names=["x"], extra=1), "b": {"c": [1]}}
    whole = build(OmegaConf.create(config), "a", more=3)
    assert whole.part == Part(2)
    assert whole.more == {"extra": 1, "more": 3}
    assert type(whole.names) is list
    assert build(OmegaConf.create(config), "b") == {"c": [1]}


@pytest.mark.parametrize(
    ("keys", "where", "found"),
    [
        ({"width": 0}, "a.part.width", "0"),
        ({"width": "2"}, "a.part.width", "'2'"),
        ({"share": math.nan}, "a.part.share", "nan"),
        ({"share": 1.5}, "a.part.share", "1.5"),
        ({"odd": 4}, "a.part.odd", "4"),
        ({"widht": 1}, "a.part.widht", "an unknown key"),
        ({"width": 100}, "a.part.width", "100"),
    ],
)
def test_a_refusal_names_the_full_key(keys, where, found):
    error = refusal({"a": node("Whole", names=[], part=node("Part", **keys))})
    assert (error.where, error.found) == (where, found)


def test_a_value_that_refers_to_another_key_is_refused_by_that_key():
    config = {"shared": {"part": node("Part", odd=2, width=1)}, "width": 0, "a": node("Whole", names=[])}
    config["a"]["part"] = "${shared.part}"
    error = refusal(config)
    assert (error.where, error.hint) == ("shared.part.odd", "add 1")
    config["shared"]["part"]["width"] = "${width}"
    assert refusal(config).where == "width"
    config["shared"]["part"]["width"] = "${oc.select:width,1}"
    assert refusal(config).where == "width"
    config = {"list": [node("Part", width=0)], "a": node("Whole", part="${list}", names=[])}
    assert refusal(config).where == "list[0].width"


def test_a_required_key_that_is_missing_is_named():
    assert refusal({"a": node("Whole", part=None)}).where == "a.names"
    assert build(OmegaConf.create({"a": node("Whole", part=None)}), "a", names=["given"]).names == ["given"]


def test_a_partial_names_the_key_when_it_is_called():
    made = build(OmegaConf.create({"n": 4, "a": node("Part", _partial_=True, width=2, odd="${n}")}), "a")
    assert isinstance(made, functools.partial)
    for each in (made, pickle.loads(pickle.dumps(made)), functools.partial(made, share=0.1)):
        with pytest.raises(ConfigError) as error:
            each()
        assert (error.value.where, error.value.found) == ("n", "4")
    with pytest.raises(ConfigError) as error:
        build(OmegaConf.create({"a": node("Part", _partial_=True)}), "a")(odd=6)
    assert error.value.where == "a.odd"


def test_what_another_library_refuses_names_the_node_and_our_bugs_stay_bugs():
    config = OmegaConf.create({"a": {"_target_": "torch.optim.Adam", "_partial_": True, "betas": [2.0, 0.9]}})
    with pytest.raises(ConfigError) as error:
        build(config, "a")(torch.nn.Linear(1, 1).parameters())
    assert error.value.where == "a"
    with pytest.raises(MaskError):
        build(OmegaConf.create({"a": node("old_style")}), "a")
    with pytest.raises(ValueError, match="a bug"):
        build(OmegaConf.create({"a": node("ours")}), "a")


def test_all_of_a_config_is_compared_without_building():
    validate(OmegaConf.create({"seed": 1, "stage": {"x": node("Part", odd=2)}}))
    for config, where in (
        ({"seed": -1}, "seed"),
        ({"threads": 0}, "threads"),
        ({"stage": {"x": None}}, "stage.x"),
        ({"stage": {"x": node("Part", width=0)}}, "stage.x.width"),
        ({"deep": [{"x": node("Part", width=0)}]}, "deep[0].x.width"),
        ({"a": "${b}", "b": "${a}"}, "config"),
    ):
        assert refusal(config, call=validate).where == where
