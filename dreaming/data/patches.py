"""Pieces of keyframes: all their pixels held once, cut out in one operation, drawn without replacement."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dreaming.clip.annotations import Keyframes


class StyleSample(TypedDict):
    """A batch of patches, or of whole keyframes.

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


class PatchSample(TypedDict):
    """What is cut out of the keyframes, as ``PatchSource`` gives it.

    Attributes:
        frame: (B, 3 + c, H, W) in -1..1, frame and guides; 0 beyond the border, where zero padding puts it in whole
            frames too.
        styled: (B, 3, H, W), alike.
        learnt: (B, 1, H, W) bool, pixels to learn from; False beyond the border.
        measured: (B, 1, H, W) bool, pixels to measure, alike.
    """

    frame: Tensor
    styled: Tensor
    learnt: Tensor
    measured: Tensor


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
        if not length:
            return drawn
        for number in range(start // self.count, (start + length - 1) // self.count + 1):
            if number != self._number:
                self._pass = np.random.default_rng((*self.seed, number)).permutation(self.count)
                self._number = number
            now = places // self.count == number
            drawn[now] = self._pass[places[now] % self.count]
        return drawn


class PatchSource:
    """All pixels of the keyframes, held once as uint8, and pieces of them.

    Args:
        keyframes: K frames with guides, and their stylised versions.
        learnt: (K, H, W) bool, pixels to learn from.
        measured: (K, H, W) bool, pixels to measure; None for none.
    """

    def __init__(
        self, keyframes: Keyframes, learnt: NDArray[np.bool_], measured: NDArray[np.bool_] | None = None
    ) -> None:
        self.count, self.height, self.width, self.channels = keyframes.sources.shape
        marks = np.stack((learnt, np.zeros_like(learnt) if measured is None else measured), axis=-1).view(np.uint8)
        stacked = np.concatenate((keyframes.sources, keyframes.styled, marks), axis=-1)
        self._pixels = torch.from_numpy(stacked.reshape(-1, self.channels + 5))

    def gather(self, centres: Tensor, size: int) -> PatchSample:
        """Cut out all square patches of a batch in one indexing operation.

        Args:
            centres: (B, 3) int64: keyframe, y, x. A patch of even size reaches one pixel less far down and right.
            size: Height and width in pixels.
        """
        offsets = torch.arange(size) - size // 2
        y, x = (centres[:, axis, None] + offsets for axis in (1, 2))  # (B, size) each
        inside = ((y >= 0) & (y < self.height))[:, :, None] & ((x >= 0) & (x < self.width))[:, None, :]
        y, x = y.clamp(0, self.height - 1), x.clamp(0, self.width - 1)
        places = (centres[:, :1] * self.height + y)[:, :, None] * self.width + x[:, None, :]  # (B, size, size)
        pieces = self._pieces(self._pixels[places])
        return PatchSample(**{name: values * inside[:, None] for name, values in pieces.items()})  # type: ignore[typeddict-item]

    def whole(self, places: Tensor) -> PatchSample:
        """Whole keyframes, by their places (B,) among all."""
        return self._pieces(self._pixels.view(self.count, self.height, self.width, -1)[places])

    def _pieces(self, pixels: Tensor) -> PatchSample:
        """(B, H, W, C) uint8 as what it means."""
        pixels = pixels.permute(0, 3, 1, 2)
        values = pixels[:, :-2].float() / 127.5 - 1
        return {
            "frame": values[:, : self.channels],
            "styled": values[:, self.channels :],
            "learnt": pixels[:, -2:-1].bool(),
            "measured": pixels[:, -1:].bool(),
        }


class HeldOutWindows(Dataset[StyleSample]):
    """Batches of windows around held-out pixels, each with context that is not measured.

    Args:
        source: The pixels, marked where they are to be measured.
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
        found = self.source.gather(chosen, size)
        cell = torch.zeros(size, dtype=torch.bool)
        cell[self.context : self.context + self.side] = True
        return {"frame": found["frame"], "styled": found["styled"], "mask": found["measured"] & cell & cell[:, None]}


class HeldOutFrames(Dataset[StyleSample]):
    """Whole keyframes with held-out pixels, one at a time; only those pixels are measured.

    Args:
        source: The pixels, marked where they are to be measured.
        held: (K, H, W) bool, what is held out.
    """

    def __init__(self, source: PatchSource, held: NDArray[np.bool_]) -> None:
        self.source = source
        self.places = torch.from_numpy(np.flatnonzero(held.any(axis=(1, 2))))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> StyleSample:
        found = self.source.whole(self.places[number : number + 1])
        return {"frame": found["frame"], "styled": found["styled"], "mask": found["measured"]}


def _cells(held: NDArray[np.bool_], side: int) -> NDArray[np.int64]:
    """Centres (N, 3) of all cells of a grid that contain held-out pixels: keyframe, y, x."""
    frames, height, width = held.shape
    rows, columns = -(-height // side), -(-width // side)
    padded = np.pad(held, ((0, 0), (0, rows * side - height), (0, columns * side - width)))
    occupied = padded.reshape(frames, rows, side, columns, side).any(axis=(2, 4))
    return np.argwhere(occupied) * (1, side, side) + (0, side // 2, side // 2)
