"""The learning rate and the number of steps, under a limit of time or none."""

from types import SimpleNamespace

import pytest
import torch

from dreaming.training.callbacks import StepSchedule


class FitTimer:
    """A timer that stands where it is put."""

    def __init__(self, limit=None):
        self.elapsed, self.limit = 0.0, limit

    def time_elapsed(self):
        return self.elapsed

    def time_remaining(self):
        return None if self.limit is None else self.limit - self.elapsed


def schedule(limit=None, steps=100, **more):
    return StepSchedule("line", steps, FitTimer(limit), **more)


def rates(made, pace, steps, first=0, broadcast=lambda own: own):
    """Learning rate of each step, if each takes so many seconds."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    found = []
    for step in range(first, steps):
        loop = SimpleNamespace(epoch_loop=SimpleNamespace(total_batch_idx=step))
        strategy = SimpleNamespace(broadcast=broadcast)
        trainer = SimpleNamespace(fit_loop=loop, optimizers=[optimizer], strategy=strategy, is_global_zero=True)
        made.on_train_batch_start(trainer)
        found.append(optimizer.param_groups[0]["lr"])
        made.timer.elapsed += pace
    return found


def test_half_a_cosine_over_the_steps():
    found = rates(schedule(floor=0.02), 1.0, 101)
    assert (found[0], found[50], found[100]) == pytest.approx((0.5, 0.255, 0.01))


def test_it_rises_first():
    found = rates(schedule(warmup=4, floor=1.0), 1.0, 5)
    assert (found[0], found[4]) == pytest.approx((0.1, 0.5))


@pytest.mark.parametrize("pace", [0.1, 8.0])
def test_a_busy_machine_has_the_same_rates_while_the_time_suffices(pace):
    assert rates(schedule(1000), pace, 100) == rates(schedule(), 1.0, 100)


def test_a_short_time_has_fewer_steps_and_rates_that_fall_over_them():
    made = schedule(limit=60)
    found = rates(made, 1.0, 50)
    # Six steps are a tenth of the time; nine tenths of the rest are planned.
    assert 50 <= made.steps <= 56
    assert found[made.steps - 5] < 0.1 * 0.5
    made.timer.elapsed = 0.0
    assert rates(made, 0.1, 60, first=50)[-1] == pytest.approx(0.01), "the plan stays"


def test_a_resumed_fit_keeps_the_number_of_steps():
    begun = schedule(limit=60)
    whole = rates(begun, 1.0, 50)
    resumed = schedule(limit=60)
    resumed.load_state_dict(begun.state_dict())
    assert rates(resumed, 0.1, 50, first=20) == whole[20:]


def test_several_processes_go_by_the_clock_of_the_first():
    told = []
    first, other = schedule(limit=60), schedule(limit=60)
    rates(first, 1.0, 30, broadcast=lambda own: told.append(own) or own)
    rates(other, 0.2, 30, broadcast=lambda _: told.pop(0))
    assert (first.steps, told) == (other.steps, [])
