"""Factories as plain data and back."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
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
    generator = to_factory(plain["generator"])(channels=4)
    assert isinstance(generator, FastGenerator)
    assert len(generator.blocks) == 2
    optimizer = to_factory(plain["optimizer"])([nn.Parameter(torch.zeros(1))], lr=0.1)
    assert tuple(optimizer.defaults["betas"]) == (0.9, 0.99)
    assert (plain["weights"], to_factory(plain["lr"]), to_factory(None)) == ("a/b", 0.1, None)
    assert to_factory({"pixel": 4.0}) == {"pixel": 4.0}


@pytest.mark.parametrize("target", ["os.system", "dreaming.io.atomic.write_atomically", "unknown.package.Network"])
def test_other_targets_than_networks_and_optimisers_raise(target):
    with pytest.raises(TypeError):
        to_factory({"_target_": target})


def test_classes_of_other_packages_have_to_be_imported():
    class Local(nn.Module):
        pass

    assert to_factory({"_target_": f"{nn.Module.__module__}.Module"}).func is nn.Module
    with pytest.raises(TypeError):
        to_factory(to_plain(Local))


@pytest.mark.parametrize("value", [object(), partial(nn.Linear, 3)])
def test_values_without_a_plain_form_raise(value):
    with pytest.raises(TypeError):
        to_plain(value)
