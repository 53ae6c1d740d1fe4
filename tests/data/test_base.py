import pytest
import torch

from dreaming.data.base import SteppedDataModule
from dreaming.errors import ConfigError
from dreaming.imaging.resize import working_size


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


def test_streams_of_one_step_differ():
    data = Numbers(batch_size=1, steps_per_epoch=1, seed=0)
    make_batch, augment = (torch.rand(3, generator=data.generator(5, stream)) for stream in ("draw", "augment"))
    assert not torch.equal(make_batch, augment)


def test_an_epoch_goes_on_from_the_steps_taken():
    class Trainer:
        global_step, world_size = 12, 2

    data = Numbers(batch_size=2, steps_per_epoch=3, seed=0)
    data.trainer = Trainer()
    loader = data.train_dataloader()
    assert [step for step, _ in loader] == [12, 13, 14]
    Trainer.global_step = 7
    assert [step for step, _ in loader] == [7, 8, 9]


def test_more_devices_than_samples_are_refused():
    class Trainer:
        global_step, world_size = 0, 2

    data = Numbers(batch_size=1, steps_per_epoch=3, seed=0)
    data.trainer = Trainer()
    with pytest.raises(ConfigError, match="batch_size: found 1 on 2 devices, expected at least one sample for each"):
        data.train_dataloader()


def test_devices_share_out_each_batch():
    class Trainer:
        global_step, world_size, global_rank, training = 0, 3, 1, True

    data = Numbers(batch_size=1, steps_per_epoch=3, seed=0)
    batch = {"image": torch.arange(8), "step": 4}
    data.trainer = Trainer()
    assert data.on_after_batch_transfer(batch, 0)["image"].tolist() == [1, 4, 7]
    Trainer.training = False
    assert data.on_after_batch_transfer(batch, 0) is batch, "every device validates on all"
    Trainer.training, Trainer.world_size = True, 1
    assert data.on_after_batch_transfer(batch, 0) is batch


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((480, 854), 240, (240, 427)),
        ((1920, 1080), 180, (320, 180)),
        ((144, 256), 240, (144, 256)),
        ((9, 7), None, (9, 7)),
    ],
)
def test_working_size_brings_the_shorter_side_down_and_never_up(size, short_side, expected):
    assert working_size(size, short_side) == expected
