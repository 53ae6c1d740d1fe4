"""Training batches that depend on seed and step only, shared among devices."""

import pytest
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy

from dreaming.data.base import SteppedDataModule
from dreaming.errors import ParameterError


class Numbers(SteppedDataModule):
    def make_batch(self, step):
        return step, torch.rand(self.batch_size, generator=self.generator(step, "draw"))


def test_batches_are_a_function_of_seed_and_step():
    first, again = (list(Numbers(batch_size=3, steps_per_epoch=4, seed=7).train_dataloader()) for _ in range(2))
    assert [step for step, _ in first] == [0, 1, 2, 3]
    assert all(torch.equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    other = list(Numbers(batch_size=3, steps_per_epoch=4, seed=8).train_dataloader())
    values = torch.cat([value for _, value in first + other])
    assert len(values.unique()) == 24


def test_generators_of_one_step_differ():
    data = Numbers(batch_size=1, steps_per_epoch=1, seed=0)
    draw, augment = (torch.rand(3, generator=data.generator(5, stream)) for stream in ("draw", "augment"))
    assert not torch.equal(draw, augment)


def test_an_epoch_continues_from_the_steps_taken():
    class Trainer:
        global_step, world_size, strategy = 12, 2, SingleDeviceStrategy("cpu")

    data = Numbers(batch_size=2, steps_per_epoch=3, seed=0)
    data.trainer = Trainer()
    loader = data.train_dataloader()
    assert [step for step, _ in loader] == [12, 13, 14]
    Trainer.global_step = 7
    assert [step for step, _ in loader] == [7, 8, 9]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_batches_are_pinned_for_a_gpu(device):
    class Trainer:
        global_step, world_size, strategy = 0, 1, SingleDeviceStrategy(device)

    data = Numbers(batch_size=2, steps_per_epoch=3, seed=0)
    data.trainer = Trainer()
    assert data.train_dataloader().pin_memory is (device == "cuda")


def test_more_devices_than_samples_are_rejected():
    class Trainer:
        global_step, world_size = 0, 2

    data = Numbers(batch_size=1, steps_per_epoch=3, seed=0)
    data.trainer = Trainer()
    with pytest.raises(ParameterError) as caught:
        data.train_dataloader()
    assert (caught.value.name, caught.value.found) == ("batch_size", "1 on 2 devices")
