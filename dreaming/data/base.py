"""What every datamodule shares: the vocabulary of batches, and training batches drawn anew for each step."""

from collections.abc import Iterator
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from dreaming.errors import ConfigError


class MaskSample(TypedDict):
    """Crops or whole frames with their masks, ready for a segmenter.

    Attributes:
        image: (B, 3, H, W) RGB in 0..1.
        mask: (B, 1, H, W) of 0 and 1.
        coordinates: (B, 2, H, W), where each pixel lies in the whole frame, see ``networks.position.coordinates``.
        features: (B, E, H, W), where the datamodule was given any; of whole frames at a size of its own.
    """

    image: Tensor
    mask: Tensor
    coordinates: Tensor
    features: NotRequired[Tensor]


class RawCrops(TypedDict):
    """Crops as they are drawn, before they are moved to the device and augmented there.

    Attributes:
        pixels: (B, H, W, 4) uint8, RGB and the mask as 0 or 255.
        origin: (B, 2), (y, x) of each crop's first pixel in its frame; it may lie outside.
        step: The number of the training step they are for.
        features: (B, H, W, E), where the datamodule was given any.
    """

    pixels: Tensor
    origin: Tensor
    step: int
    features: NotRequired[Tensor]


class RawFrames(TypedDict):
    """Whole frames before they are moved to the device.

    Attributes:
        pixels: (B, H, W, 4) uint8, RGB and the mask as 0 or 255.
        features: (B, h, w, E), where the datamodule was given any.
    """

    pixels: Tensor
    features: NotRequired[Tensor]


class StepSampler(Sampler[int]):
    """The numbers of an epoch's training steps, counted on from the steps already taken.

    Args:
        datamodule: Knows the steps taken.
        count: Steps an epoch.
    """

    def __init__(self, datamodule: "SteppedDataModule", count: int) -> None:
        self.datamodule, self.count = datamodule, count

    def __iter__(self) -> Iterator[int]:
        first = self.datamodule.steps_taken
        return iter(range(first, first + self.count))

    def __len__(self) -> int:
        return self.count


class StepDataset(Dataset[Any]):
    """The batch of each step, drawn when it is asked for.

    Args:
        datamodule: Draws them.
    """

    def __init__(self, datamodule: "SteppedDataModule") -> None:
        self.datamodule = datamodule

    def __getitem__(self, step: int) -> Any:
        return self.datamodule.make_batch(step)


class SteppedDataModule(LightningDataModule):
    """Training batches that are a function of seed and step alone.

    So they depend neither on the number of workers nor on where a run was cut off: a resumed run goes on with the
    batch it would have had. With DDP every device takes its share of each batch, so that together
    they do what one would.

    Args:
        batch_size: Crops a batch.
        steps_per_epoch: Where Lightning ends an epoch; it has no other meaning, as crops are drawn without end.
        seed: Of every random stream here.
    """

    def __init__(self, *, batch_size: int, steps_per_epoch: int, seed: int) -> None:
        super().__init__()
        self.batch_size, self.steps_per_epoch, self.seed = batch_size, steps_per_epoch, seed

    def make_batch(self, step: int) -> Any:
        """The batch of one step, before transfer to the device."""
        raise NotImplementedError

    @property
    def smallest_batch(self) -> int:
        """Samples of the smallest batch there will be."""
        return self.batch_size

    @property
    def steps_taken(self) -> int:
        """Batches drawn so far; 0 without a Trainer."""
        return self.trainer.global_step if self.trainer is not None else 0

    def share(self, batch: Any) -> Any:
        """This device's samples of a training batch: every n-th of n devices."""
        if self.trainer is None or self.trainer.world_size == 1:
            return batch
        rank, count = self.trainer.global_rank, self.trainer.world_size
        return {name: value[rank::count] if isinstance(value, Tensor) else value for name, value in batch.items()}

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """What was drawn, or this device's share of it."""
        training = self.trainer is not None and self.trainer.training
        return self.share(batch) if training else batch

    def generator(
        self, step: int, stream: Literal["draw", "augment"], device: torch.device | str = "cpu"
    ) -> torch.Generator:
        """A fresh random stream that belongs to this step alone."""
        words = np.random.SeedSequence([self.seed, step, ("draw", "augment").index(stream)]).generate_state(
            1, np.uint64
        )
        # A generator takes a signed 64-bit seed.
        return torch.Generator(device).manual_seed(int(words[0] >> np.uint64(1)))

    def train_dataloader(self) -> DataLoader[Any]:
        """One whole batch an item; drawing one costs less than handing it over from a worker.

        Raises:
            ConfigError: If there are more devices than samples in a batch.
        """
        if self.trainer is not None and self.trainer.world_size > self.smallest_batch:
            raise ConfigError(
                "batch_size",
                found=f"{self.smallest_batch} on {self.trainer.world_size} devices",
                expected="at least one sample for each device",
                hint="raise data.<name>.batch_size, or set trainer.devices=1",
            )
        return DataLoader(StepDataset(self), batch_size=None, sampler=StepSampler(self, self.steps_per_epoch))
