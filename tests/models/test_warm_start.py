"""A warm start takes at most a share of the remaining time, and is done once."""

import time
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.callbacks import Timer

from dreaming.models.warm_start import SHARE, warm_start
from dreaming.training.callbacks import StepSchedule


class Generator(torch.nn.Module):
    """Notes until when it may take."""

    def __init__(self):
        super().__init__()
        self.register_buffer("warm", torch.zeros(()))
        self.calls = []

    def warm_start(self, pictures, *, until=None, training_steps=None):
        self.calls.append((list(pictures), until, training_steps))
        self.warm.fill_(1)


@pytest.mark.parametrize("limit", [None, 100.0])
def test_half_of_the_remaining_time_is_given_once(limit):
    generator = Generator()
    timer = Timer(duration=None if limit is None else {"seconds": limit})
    trainer = SimpleNamespace(callbacks=[timer, StepSchedule("style", 30, timer)], world_size=1)
    before = time.monotonic()
    for _ in range(2):
        warm_start(generator, ["picture"], trainer)
    ((pictures, until, steps),) = generator.calls
    assert (pictures, steps) == (["picture"], 30)
    assert until is None if limit is None else 0 <= until - before - SHARE * limit <= time.monotonic() - before


def test_other_generators_are_left_alone():
    warm_start(torch.nn.Linear(1, 1), None, None)
