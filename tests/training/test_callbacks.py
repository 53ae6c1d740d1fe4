"""The learning rate over a budget of steps or of time."""

from types import SimpleNamespace

import pytest
import torch

from dreaming.training.callbacks import CosineToBudget


class FitTimer:
    """A timer that stands where it is put."""

    def __init__(self, elapsed=0.0, limit=None):
        self.elapsed, self.limit = elapsed, limit

    def time_elapsed(self):
        return self.elapsed

    def time_remaining(self):
        return None if self.limit is None else self.limit - self.elapsed


def rate(step, clock, broadcast=lambda own: own, **more):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(total_batch_idx=step))
    trainer = SimpleNamespace(fit_loop=loop, optimizers=[optimizer], strategy=SimpleNamespace(broadcast=broadcast))
    CosineToBudget(100, clock, **more).on_train_batch_start(trainer)
    return optimizer.param_groups[0]["lr"]


def test_half_a_cosine_over_the_steps():
    assert rate(0, FitTimer()) == pytest.approx(0.5)
    assert rate(50, FitTimer(), floor=0.0) == pytest.approx(0.25)
    assert rate(100, FitTimer(), floor=0.02) == pytest.approx(0.01)


def test_the_budget_that_is_nearer_to_its_end_decides():
    assert rate(10, FitTimer(50, 100), floor=0.0) == pytest.approx(0.25)
    assert rate(50, FitTimer(10, 100), floor=0.0) == pytest.approx(0.25)
    assert rate(0, FitTimer(200, 100), floor=0.0) == pytest.approx(0.0)


def test_it_rises_first():
    assert rate(0, FitTimer(), warmup=4, floor=1.0) == pytest.approx(0.1)
    assert rate(4, FitTimer(), warmup=4, floor=1.0) == pytest.approx(0.5)


def test_several_processes_go_by_the_clock_of_the_first():
    late, early = FitTimer(50, 100), FitTimer(10, 100)
    told = []
    first = rate(10, late, lambda own: told.append(own) or own)
    assert rate(10, early, lambda own: told[0]) == first
