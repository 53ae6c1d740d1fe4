"""The types of batches, and the base of datamodules whose training batches are a function of seed and step."""

from collections.abc import Iterator
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from dreaming.errors import ParameterError


class MaskSample(TypedDict):
    """Crops or whole frames with their masks, as a segmenter receives them.

    Attributes:
        image: (B, 3, H, W) RGB in 0..1.
        mask: (B, 1, H, W) of 0 and 1.
        coordinates: (B, 2, H, W), position of each pixel in the whole frame, see ``networks.position.coordinates``.
        features: (B, E, H, W), if the datamodule has any; whole frames may have another size than these.
    """

    image: Tensor
    mask: Tensor
    coordinates: Tensor
    features: NotRequired[Tensor]


class RawCrops(TypedDict):
    """Random crops before they are moved to the device and augmented there.

    Attributes:
        pixels: (B, H, W, 4) uint8, RGB and the mask as 0 or 255.
        origin: (B, 2), (y, x) of each crop's first pixel in its frame; it may lie outside.
        step: Number of the training step.
        features: (B, H, W, E), if the datamodule has any.
    """

    pixels: Tensor
    origin: Tensor
    step: int
    features: NotRequired[Tensor]


class RawFrames(TypedDict):
    """Whole frames before they are moved to the device.

    Attributes:
        pixels: (B, H, W, 4) uint8, RGB and the mask as 0 or 255.
        features: (B, h, w, E), if the datamodule has any.
    """

    pixels: Tensor
    features: NotRequired[Tensor]


class StepSampler(Sampler[int]):
    """Numbers of an epoch's training steps, continued from the steps already taken.

    Args:
        datamodule: Provides the number of steps taken.
        count: Steps per epoch.
    """

    def __init__(self, datamodule: "SteppedDataModule", count: int) -> None:
        self.datamodule, self.count = datamodule, count

    def __iter__(self) -> Iterator[int]:
        first = self.datamodule.steps_taken
        return iter(range(first, first + self.count))

    def __len__(self) -> int:
        return self.count


class StepDataset(Dataset[Any]):
    """The training batch of each step, made on access.

    Args:
        datamodule: Makes the batches.
    """

    def __init__(self, datamodule: "SteppedDataModule") -> None:
        self.datamodule = datamodule

    def __getitem__(self, step: int) -> Any:
        return self.datamodule.make_batch(step)


class SteppedDataModule(LightningDataModule):
    """Training batches that depend on seed and step only.

    They depend neither on the number of workers nor on interruptions: a resumed run continues with the next batch. With
    DDP each device takes its share of each batch, so that all devices together train like one.

    Args:
        batch_size: Crops per batch.
        steps_per_epoch: Steps per Lightning epoch; the stream of crops is endless, so it has no other effect.
        seed: Seed of all random draws.
    """

    def __init__(self, *, batch_size: int, steps_per_epoch: int, seed: int) -> None:
        super().__init__()
        self.batch_size, self.steps_per_epoch, self.seed = batch_size, steps_per_epoch, seed

    def make_batch(self, step: int) -> Any:
        """Make the training batch of one step, before transfer to the device."""
        raise NotImplementedError

    @property
    def smallest_batch(self) -> int:
        """Number of samples in the smallest batch."""
        return self.batch_size

    @property
    def steps_taken(self) -> int:
        """Training steps taken so far; 0 without a Trainer."""
        return self.trainer.global_step if self.trainer is not None else 0

    @property
    def local_rows(self) -> slice:
        """This device's samples of a training batch: every n-th of n devices."""
        if self.trainer is None or self.trainer.world_size == 1:
            return slice(None)
        return slice(self.trainer.global_rank, None, self.trainer.world_size)

    def share(self, batch: Any) -> Any:
        """Select this device's samples of a training batch: every n-th on n devices."""
        rows = self.local_rows
        if rows == slice(None):
            return batch
        return {name: value[rows] if isinstance(value, Tensor) else value for name, value in batch.items()}

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Return the batch, or this device's share of a training batch."""
        training = self.trainer is not None and self.trainer.training
        return self.share(batch) if training else batch

    def generator(
        self, step: int, stream: Literal["draw", "augment"], device: torch.device | str = "cpu"
    ) -> torch.Generator:
        """Create the random generator of one step and purpose."""
        words = np.random.SeedSequence([self.seed, step, ("draw", "augment").index(stream)]).generate_state(
            1, np.uint64
        )
        # A generator takes a signed 64-bit seed.
        return torch.Generator(device).manual_seed(int(words[0] >> np.uint64(1)))

    def train_dataloader(self) -> DataLoader[Any]:
        """Load whole batches in the main process: making one costs less than a transfer from a worker.

        Raises:
            ParameterError: If there are more devices than samples in a batch.
        """
        if self.trainer is not None and self.trainer.world_size > self.smallest_batch:
            raise ParameterError(
                "batch_size",
                found=f"{self.smallest_batch} on {self.trainer.world_size} devices",
                expected="at least one sample per device",
            )
        return DataLoader(StepDataset(self), batch_size=None, sampler=StepSampler(self, self.steps_per_epoch))
