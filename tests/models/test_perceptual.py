"""VGG is a metric only where every process has its weights on disk."""

import logging
from types import SimpleNamespace

import pytest
import torch

from dreaming.errors import WeightsError
from dreaming.models.perceptual import load_cached_vgg
from dreaming.networks.vgg import NotDownloadedError


def trainer(everywhere=True):
    strategy = SimpleNamespace(reduce_boolean_decision=lambda found: found and everywhere)
    return SimpleNamespace(strategy=strategy, is_global_zero=True)


def vgg(download):
    assert not download
    return torch.nn.Linear(3, 3)


def raising(error):
    def make(download):
        raise error("vgg.pth", found="x", expected="y")

    return make


def test_it_is_used_if_each_process_has_it_and_draws_no_random_numbers():
    state = torch.get_rng_state()
    assert isinstance(load_cached_vgg(vgg, trainer()), torch.nn.Linear)
    assert torch.equal(torch.get_rng_state(), state)
    assert load_cached_vgg(vgg, trainer(everywhere=False)) is None
    assert load_cached_vgg(None, trainer()) is None


@pytest.mark.parametrize(("error", "warnings"), [(NotDownloadedError, 0), (WeightsError, 1)])
def test_only_damaged_weights_are_a_warning(caplog, error, warnings):
    assert load_cached_vgg(raising(error), trainer()) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * warnings
