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


class RawFrames(TypedDict):
    """Whole frames before they are moved to the device.

    Attributes:
        pixels: (B, H, W, 4) uint8, RGB and the mask as 0 or 255.
        features: (B, h, w, E), if the datamodule has any; of crops at the size of the pixels.
    """

    pixels: Tensor
    features: NotRequired[Tensor]


class RawCrops(RawFrames):
    """Random crops before they are moved to the device and augmented there.

    Attributes:
        origin: (B, 2), (y, x) of each crop's first pixel in its frame; it may lie outside.
        step: Number of the training step.
    """

    origin: Tensor
    step: int


class EpochSteps(Sampler[int], Dataset[Any]):
    """Numbers of an epoch's steps, continued from the steps already taken, and the batch of each step."""

    def __init__(self, datamodule: "SteppedDataModule") -> None:
        self.datamodule = datamodule

    def __iter__(self) -> Iterator[int]:
        trainer = self.datamodule.trainer
        first = 0 if trainer is None else trainer.global_step
        return iter(range(first, first + len(self)))

    def __len__(self) -> int:
        return self.datamodule.steps_per_epoch

    def __getitem__(self, step: int) -> Any:
        return self.datamodule.make_batch(step)


class SteppedDataModule(LightningDataModule):
    """Training batches that depend on seed and step only.

    They do not depend on interruptions: a resumed run continues with the next batch. With DDP each device makes its
    ``local_rows`` of each batch, so that all devices together train like one.

    Args:
        batch_size: Samples per batch.
        steps_per_epoch: Steps per Lightning epoch; the stream of batches is endless, so it has no other effect.
        seed: Seed of all random draws.
    """

    def __init__(self, *, batch_size: int, steps_per_epoch: int, seed: int) -> None:
        super().__init__()
        self.batch_size, self.steps_per_epoch, self.seed = batch_size, steps_per_epoch, seed

    def make_batch(self, step: int) -> Any:
        """Make this device's share of one step's batch, before its transfer to the device."""
        raise NotImplementedError

    @property
    def smallest_batch(self) -> int:
        """Number of samples in the smallest batch."""
        return self.batch_size

    @property
    def local_rows(self) -> slice:
        """This device's samples of a training batch: every n-th of n devices."""
        return slice(None) if self.trainer is None else slice(self.trainer.global_rank, None, self.trainer.world_size)

    @property
    def pins_memory(self) -> bool:
        """Whether batches are made in main memory for a GPU; only copies of pinned memory are asynchronous."""
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

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
        steps = EpochSteps(self)
        return DataLoader(steps, batch_size=None, sampler=steps, pin_memory=self.pins_memory)
