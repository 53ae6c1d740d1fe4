"""Patches of keyframes: cropped in one operation and shuffled without replacement."""

import logging
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dreaming.clip.annotations import Keyframes

log = logging.getLogger(__name__)

MAX_MEMORY_SHARE = 0.25
"""Share of a GPU's free memory that the pixels of the keyframes may take."""


class StyleSample(TypedDict):
    """A batch of patches, or of whole keyframes.

    Attributes:
        frame: The frame and its guides, (B, 3 + c, H, W) in -1..1; 0 beyond the frame's border.
        styled: The same patches of the painted keyframes, (B, 3, H, W) in -1..1.
        other: Other patches of the painted keyframes for the discriminator, (B, 3, H, W) in -1..1; only in training.
        mask: (B, 1, H, W) bool, the pixels to train on, or in validation those to measure.
    """

    frame: Tensor
    styled: Tensor
    other: NotRequired[Tensor]
    mask: Tensor


class Shuffle:
    """An endless stream of permutations of ``range(count)``; any part of it depends only on the seed.

    The last permutation is kept, so a value costs O(1).
    """

    def __init__(self, count: int, seed: Sequence[int]) -> None:
        self.count, self.seed = count, tuple(seed)
        self._pass, self._permutation = -1, np.empty(0, dtype=np.intp)

    def take(self, start: int, length: int) -> NDArray[np.intp]:
        """Return values ``start`` to ``start + length`` of the stream."""
        index = np.arange(start, start + length)
        values = np.empty(length, dtype=np.intp)
        if not length:
            return values
        for number in range(start // self.count, (start + length - 1) // self.count + 1):
            if number != self._pass:
                self._permutation = np.random.default_rng((*self.seed, number)).permutation(self.count)
                self._pass = number
            current = index // self.count == number
            values[current] = self._permutation[index[current] % self.count]
        return values


class PatchSource:
    """All pixels of the keyframes as uint8, to crop patches from.

    Args:
        keyframes: K frames with guides, and their painted versions.
        training: (K, H, W) bool, pixels to train on.
        validation: (K, H, W) bool, held-out pixels; None: none.
    """

    def __init__(
        self, keyframes: Keyframes, training: NDArray[np.bool_], validation: NDArray[np.bool_] | None = None
    ) -> None:
        self.count, self.height, self.width, self.channels = keyframes.sources.shape
        validation = np.zeros_like(training) if validation is None else validation
        masks = np.stack((training, validation), axis=-1).view(np.uint8)
        stacked = np.concatenate((keyframes.sources, keyframes.styled, masks), axis=-1)
        self._pixels = torch.from_numpy(stacked.reshape(-1, self.channels + 5))

    @property
    def device(self) -> torch.device:
        """The device that holds the pixels, and makes the batches."""
        return self._pixels.device

    def to(self, device: torch.device | str) -> None:
        """Move the pixels to a device, so that only the positions of patches are copied there for each batch.

        They stay where they are if they would take more than ``MAX_MEMORY_SHARE`` of a GPU's free memory.
        """
        if torch.device(device).type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if self._pixels.nbytes > MAX_MEMORY_SHARE * free:
                log.debug("keyframes stay in main memory: %d bytes of the %d on %s", self._pixels.nbytes, free, device)
                return
        self._pixels = self._pixels.to(device)

    def gather(self, centres: Tensor, size: int) -> dict[str, Tensor]:
        """Crop the square patches of a batch in one indexing operation; they are 0 beyond the border.

        Args:
            centres: (B, 3) int64: keyframe, y, x. A patch of even size extends one pixel less down and right.
            size: Height and width in pixels.
        """
        centres = centres.to(self.device, non_blocking=True)
        offsets = torch.arange(size, device=self.device) - size // 2
        y, x = (centres[:, axis, None] + offsets for axis in (1, 2))  # (B, size) each
        inside = ((y >= 0) & (y < self.height))[:, :, None] & ((x >= 0) & (x < self.width))[:, None, :]
        y, x = y.clamp(0, self.height - 1), x.clamp(0, self.width - 1)
        index = (centres[:, :1] * self.height + y)[:, :, None] * self.width + x[:, None, :]  # (B, size, size)
        sample = self._sample(self._pixels[index])
        return {name: values * inside[:, None] for name, values in sample.items()}

    def whole(self, index: Tensor) -> dict[str, Tensor]:
        """Return whole keyframes by their index (B,)."""
        pixels = self._pixels.view(self.count, self.height, self.width, -1)
        return self._sample(pixels[index.to(self.device, non_blocking=True)])

    def _sample(self, pixels: Tensor) -> dict[str, Tensor]:
        """Split (B, H, W, C) uint8 into frame and painting in -1..1, and the pixels to train on and those held out."""
        pixels = pixels.permute(0, 3, 1, 2)
        values = pixels[:, :-2].float() / 127.5 - 1
        return {
            "frame": values[:, : self.channels],
            "styled": values[:, self.channels :],
            "training": pixels[:, -2:-1].bool(),
            "validation": pixels[:, -1:].bool(),
        }


class HeldOutWindows(Dataset[StyleSample]):
    """Batches of windows around held-out pixels, with surroundings that are not measured.

    Args:
        source: Pixels of the keyframes.
        held_out: (K, H, W) bool, held-out pixels.
        side: Height and width in pixels of the cells that are measured.
        context: Pixels around a cell on each side.
        max_pixels: Maximum number of pixels in a batch.
    """

    def __init__(
        self, source: PatchSource, held_out: NDArray[np.bool_], side: int, context: int, max_pixels: int
    ) -> None:
        self.source, self.side, self.context = source, side, context
        self.centres = torch.from_numpy(_cells(held_out, side))
        self.batch_size = max(1, max_pixels // (side + 2 * context) ** 2)

    def __len__(self) -> int:
        return -(-len(self.centres) // self.batch_size)

    def __getitem__(self, index: int) -> StyleSample:
        size = self.side + 2 * self.context
        centres = self.centres[index * self.batch_size : (index + 1) * self.batch_size]
        patches = self.source.gather(centres, size)
        cell = torch.zeros(size, dtype=torch.bool, device=self.source.device)
        cell[self.context : self.context + self.side] = True
        mask = patches["validation"] & cell & cell[:, None]
        return {"frame": patches["frame"], "styled": patches["styled"], "mask": mask}


class HeldOutFrames(Dataset[StyleSample]):
    """Whole keyframes with held-out pixels (K, H, W), one per batch; only those pixels are measured."""

    def __init__(self, source: PatchSource, held_out: NDArray[np.bool_]) -> None:
        self.source = source
        self.keyframes = torch.from_numpy(np.flatnonzero(held_out.any(axis=(1, 2))))

    def __len__(self) -> int:
        return len(self.keyframes)

    def __getitem__(self, index: int) -> StyleSample:
        frames = self.source.whole(self.keyframes[index : index + 1])
        return {"frame": frames["frame"], "styled": frames["styled"], "mask": frames["validation"]}


def _cells(held_out: NDArray[np.bool_], side: int) -> NDArray[np.int64]:
    """Centres (N, 3) of the grid cells that contain held-out pixels: keyframe, y, x."""
    frames, height, width = held_out.shape
    rows, columns = -(-height // side), -(-width // side)
    padded = np.pad(held_out, ((0, 0), (0, rows * side - height), (0, columns * side - width)))
    occupied = padded.reshape(frames, rows, side, columns, side).any(axis=(2, 4))
    return np.argwhere(occupied) * (1, side, side) + (0, side // 2, side // 2)
