"""Square patches of keyframes: all their pixels held once, drawn without replacement, cut out in one operation."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dreaming.frames.references import Keyframes


class StyleSample(TypedDict):
    """A batch of patches.

    Attributes:
        frame: (B, 3 + c, H, W) in -1..1, the frame and its guides; 0 beyond the frame's border.
        styled: (B, 3, H, W) in -1..1, the same place in the stylised keyframe.
        other: (B, 3, H, W) in -1..1, other places in the stylised keyframes, for the discriminator; only in training.
        mask: (B, 1, H, W) bool, in training the pixels to learn from, in validation those to measure.
    """

    frame: Tensor
    styled: Tensor
    other: NotRequired[Tensor]
    mask: Tensor


class Shuffle:
    """Endless draws from ``range(count)`` without replacement: each pass over it is a new permutation.

    Any stretch of the stream can be asked for; it depends on seed and place alone. One permutation is kept, so that a
    draw costs O(1).

    Args:
        count: How many there are to draw from.
        seed: Numbers that tell this stream from others.
    """

    def __init__(self, count: int, seed: Sequence[int]) -> None:
        self.count, self.seed = count, tuple(seed)
        self._number, self._pass = -1, np.empty(0, dtype=np.intp)

    def take(self, start: int, length: int) -> NDArray[np.intp]:
        """Draws ``start`` to ``start + length`` of the stream."""
        places = np.arange(start, start + length)
        drawn = np.empty(length, dtype=np.intp)
        for number in range(start // self.count, (start + length - 1) // self.count + 1):
            if number != self._number:
                self._pass = np.random.default_rng((*self.seed, number)).permutation(self.count)
                self._number = number
            now = places // self.count == number
            drawn[now] = self._pass[places[now] % self.count]
        return drawn


class PatchSource:
    """All pixels of the keyframes, held once as uint8, and square patches of them.

    Args:
        keyframes: K frames with guides, and their stylised versions.
        held: (K, H, W) bool, marked pixels, handed out with each patch.
    """

    def __init__(self, keyframes: Keyframes, held: NDArray[np.bool_]) -> None:
        self.count, self.height, self.width, self.channels = keyframes.sources.shape
        stacked = np.concatenate((keyframes.sources, keyframes.styled, held[..., None].view(np.uint8)), axis=-1)
        self._pixels = torch.from_numpy(stacked.reshape(-1, self.channels + 4))

    def gather(self, centres: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cut out all patches of a batch in one indexing operation.

        Args:
            centres: (B, 3) int64: keyframe, y, x. A patch of even size reaches one pixel less far down and right.
            size: Height and width in pixels.

        Returns:
            Frame with guides (B, 3 + c, size, size) and styled (B, 3, size, size), both in -1..1 and 0 beyond the
            border, where zero padding puts it in whole frames too; held, and inside the frame, both
            (B, 1, size, size) bool.
        """
        offsets = torch.arange(size) - size // 2
        y, x = (centres[:, axis, None] + offsets for axis in (1, 2))  # (B, size) each
        inside = ((y >= 0) & (y < self.height))[:, :, None] & ((x >= 0) & (x < self.width))[:, None, :]
        y, x = y.clamp(0, self.height - 1), x.clamp(0, self.width - 1)
        places = (centres[:, :1] * self.height + y)[:, :, None] * self.width + x[:, None, :]  # (B, size, size)
        patches = self._pixels[places].permute(0, 3, 1, 2)  # (B, 3 + c + 3 + 1, size, size)
        inside = inside[:, None]
        values = (patches[:, :-1].float() / 127.5 - 1) * inside
        return values[:, : self.channels], values[:, self.channels :], patches[:, -1:].bool() & inside, inside


class HeldOutWindows(Dataset[StyleSample]):
    """Batches of windows around held-out pixels, each with context that is not measured.

    Args:
        source: The pixels, marked where held out.
        held: (K, H, W) bool, what is held out.
        side: Height and width in pixels of the cells that ``held`` is measured in.
        context: Pixels on each side of a cell.
        budget: Pixels a batch may have.
    """

    def __init__(self, source: PatchSource, held: NDArray[np.bool_], side: int, context: int, budget: int) -> None:
        self.source, self.side, self.context = source, side, context
        self.centres = torch.from_numpy(_cells(held, side))
        self.at_once = max(1, budget // (side + 2 * context) ** 2)

    def __len__(self) -> int:
        return -(-len(self.centres) // self.at_once)

    def __getitem__(self, number: int) -> StyleSample:
        size = self.side + 2 * self.context
        chosen = self.centres[number * self.at_once : (number + 1) * self.at_once]
        frame, styled, held, _ = self.source.gather(chosen, size)
        cell = torch.zeros(size, dtype=torch.bool)
        cell[self.context : self.context + self.side] = True
        return {"frame": frame, "styled": styled, "mask": held & cell & cell[:, None]}


def _cells(held: NDArray[np.bool_], side: int) -> NDArray[np.int64]:
    """Centres (N, 3) of all cells of a grid that contain held-out pixels: keyframe, y, x."""
    frames, height, width = held.shape
    rows, columns = -(-height // side), -(-width // side)
    padded = np.pad(held, ((0, 0), (0, rows * side - height), (0, columns * side - width)))
    occupied = padded.reshape(frames, rows, side, columns, side).any(axis=(2, 4))
    return np.argwhere(occupied) * (1, side, side) + (0, side // 2, side // 2)
