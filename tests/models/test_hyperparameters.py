"""Factories as plain data and back."""

import json
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from renaming import renamed
from torch import nn

from dreaming.models.hyperparameters import to_factory, to_plain
from dreaming.networks.fast_generator import FastGenerator


def test_factories_become_plain_data_and_back():
    plain = to_plain(
        {
            "generator": partial(FastGenerator, width=8, dilations=(1, 2)),
            "optimizer": partial(torch.optim.Adam, betas=(0.9, 0.99)),
            "weights": Path("a/b"),
            "lr": 0.1,
            "none": None,
        }
    )
    assert json.loads(json.dumps(plain)) == plain
    assert plain["generator"] == {"class": "fast_generator", "width": 8, "dilations": [1, 2]}
    assert plain["optimizer"] == {"class": "Adam", "betas": [0.9, 0.99]}
    generator = to_factory(plain["generator"])(channels=4)
    assert isinstance(generator, FastGenerator)
    assert len(generator.blocks) == 2
    optimizer = to_factory(plain["optimizer"])([nn.Parameter(torch.zeros(1))], lr=0.1)
    assert type(optimizer) is torch.optim.Adam
    assert tuple(optimizer.defaults["betas"]) == (0.9, 0.99)
    assert (plain["weights"], to_factory(plain["lr"]), to_factory(None)) == ("a/b", 0.1, None)
    assert to_factory({"pixel": 4.0}) == {"pixel": 4.0}


def test_a_renamed_or_moved_class_is_found_by_its_kind():
    plain = to_plain(FastGenerator)
    with renamed(FastGenerator):
        assert to_plain(FastGenerator) == plain
        assert to_factory(plain).func is FastGenerator


@pytest.mark.parametrize("name", ["system", "write_atomically", "os.system", "unknown_network", "DilatedBlock"])
def test_other_names_than_those_of_networks_and_optimisers_raise(name):
    with pytest.raises(TypeError):
        to_factory({"class": name})


def test_a_users_class_is_found_by_its_kind_or_its_bare_name():
    class HasKind(FastGenerator):
        kind: ClassVar[str] = "some_kind_of_a_user"

    class HasNoKind(FastGenerator):
        pass

    HasKind.__module__ = HasNoKind.__module__ = "a_users_package.networks"
    assert [to_plain(cls) for cls in (HasKind, HasNoKind)] == [{"class": "some_kind_of_a_user"}, {"class": "HasNoKind"}]
    assert [to_factory(to_plain(cls)).func for cls in (HasKind, HasNoKind)] == [HasKind, HasNoKind]


Redefined = type("Redefined", (nn.Module,), {"__module__": __name__})
first_definition = Redefined
Redefined = type("Redefined", (nn.Module,), {"__module__": __name__})


def test_of_a_class_that_is_defined_again_the_last_definition_is_used():
    assert first_definition.__name__ == Redefined.__name__
    assert to_factory(to_plain(first_definition)).func is Redefined


def test_an_ambiguous_name_raises(monkeypatch):
    Adam = type("Adam", (nn.Module,), {"__module__": __name__})  # noqa: N806 -- a class
    monkeypatch.setitem(globals(), "Adam", Adam)
    with pytest.raises(TypeError):
        to_factory(to_plain(torch.optim.Adam))
    Adam.kind = "users_adam"
    assert to_factory(to_plain(Adam)).func is Adam
    assert to_factory(to_plain(torch.optim.Adam)).func is torch.optim.Adam


@pytest.mark.parametrize("value", [object(), partial(nn.Linear, 3)])
def test_values_without_a_plain_form_raise(value):
    with pytest.raises(TypeError):
        to_plain(value)
