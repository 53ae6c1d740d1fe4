"""Patches of stylised keyframes: drawn in batches for training, fixed windows for judging progress."""

import logging
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dreaming.data.base import SteppedDataModule
from dreaming.errors import ConfigError, KeyframeError, MaskError
from dreaming.frames.references import Keyframes

log = logging.getLogger(__name__)

SMALLEST_BLOCK = 8  # pixels; a held-out block smaller than SSIM's window would measure its neighbours


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


class KeyframesDataModule(SteppedDataModule):
    """Training patches around every masked pixel of the keyframes, and held-out windows.

    Held-out pixels lie inside training patches too, but their stylised colours are masked out of the loss; so nothing
    is lost around them, and none of them is ever a target.

    Args:
        keyframes: One or more, each with the mask of where the style is to be learnt.
        patch: Height and width of a training patch in pixels.
        batch_size: Patches a step.
        erosion: Side in pixels of the square by which masks are eroded before centres are drawn; 0 for none.
        holdout: Share of the masked pixels that is held out for validation, in square blocks over all keyframes.
        held_keyframes: Names of keyframes held out as a whole, instead of blocks.
        steps_per_epoch: Batches until the loader starts anew; the draws go on where they were.
        seed: Of the order of patches and the choice of blocks.

    Raises:
        ConfigError: If ``holdout`` is not in 0..0.5.
        KeyframeError: If a held-out keyframe does not exist, or none is left to learn from.
        MaskError: If the eroded mask of a keyframe is empty.
    """

    def __init__(
        self,
        keyframes: Keyframes,
        *,
        patch: int = 32,
        batch_size: int = 40,
        erosion: int = 7,
        holdout: float = 0.1,
        held_keyframes: Sequence[str] = (),
        steps_per_epoch: int = 100,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, steps_per_epoch=steps_per_epoch, seed=seed)
        self.keyframes, self.patch, self.erosion = keyframes, patch, erosion
        self.holdout, self.held_keyframes = holdout, tuple(held_keyframes)
        if not 0 <= holdout <= 0.5:
            raise ConfigError(
                "data.keyframes.holdout", found=str(holdout), expected="a share of 0 to 0.5", mend="change it"
            )
        centres = self._centres()
        held, side = self._held_out()
        learnable = centres & ~held
        for place, stem in enumerate(keyframes.stems):
            if stem in self.held_keyframes:
                learnable[place] = False
        self.withheld = bool(held.any() and learnable.any())
        if not self.withheld:
            log.warning("No pixels are held out: val/likeness is measured on what is learnt from.")
            held, side, learnable = keyframes.masks, 2 * patch, centres
        self.source = PatchSource(keyframes, held)
        self.windows = HeldOutWindows(self.source, held, side, context=patch, budget=batch_size * patch**2)
        self.places = np.flatnonzero(learnable)
        self._own, self._others = (Shuffle(len(self.places), (seed, stream)) for stream in (0, 1))

    def _centres(self) -> NDArray[np.bool_]:
        """(K, H, W): where the centre of a training patch may lie."""
        masks = self.keyframes.masks.astype(np.uint8)
        if self.erosion > 1:
            kernel = np.ones((self.erosion, self.erosion), np.uint8)
            masks = np.stack([cv2.erode(mask, kernel) for mask in masks])
        for stem, mask, eroded in zip(self.keyframes.stems, self.keyframes.masks, masks, strict=True):
            if not eroded.any():
                raise MaskError(
                    f"mask of keyframe {stem}",
                    found=f"{int(mask.sum())} pixels, none of them left after erosion by {self.erosion} pixels",
                    expected="a region with room for one patch centre",
                    mend="paint a larger region or lower data.keyframes.erosion",
                )
        return masks.astype(np.bool_)

    def _held_out(self) -> tuple[NDArray[np.bool_], int]:
        """(K, H, W) pixels that are held out, and the side of the cells they are measured in."""
        masks = self.keyframes.masks
        if self.held_keyframes:
            unknown = set(self.held_keyframes) - set(self.keyframes.stems)
            if unknown or len(set(self.held_keyframes)) == len(self.keyframes):
                raise KeyframeError(
                    "data.keyframes.held_keyframes",
                    found=", ".join(self.held_keyframes),
                    expected=f"some, but not all, of {', '.join(self.keyframes.stems)}",
                    mend="correct the names, or leave it empty to hold out a share of each keyframe",
                )
            chosen = np.isin(self.keyframes.stems, self.held_keyframes)
            return masks & chosen[:, None, None], 2 * self.patch
        budget = self.holdout * masks.sum()
        # Several small blocks tell more than one large one; larger than a patch they would be hard to fill in.
        side = int(np.clip(np.sqrt(budget / 4), SMALLEST_BLOCK, max(SMALLEST_BLOCK, self.patch)))
        return _blocks(masks, side, int(budget // side**2), self.seed), side

    def draw(self, step: int) -> StyleSample:
        """The batch of one step: every centre once before any comes again."""
        start = step * self.batch_size
        drawn = np.concatenate([stream.take(start, self.batch_size) for stream in (self._own, self._others)])
        centres = np.stack(np.unravel_index(self.places[drawn], self.keyframes.masks.shape), axis=1)
        frame, styled, held, inside = self.source.gather(torch.from_numpy(centres), self.patch)
        own = slice(self.batch_size)
        mask = inside[own] & ~held[own] if self.withheld else inside[own]
        return {"frame": frame[own], "styled": styled[own], "other": styled[self.batch_size :], "mask": mask}

    def val_dataloader(self) -> DataLoader[StyleSample]:
        """All held-out windows, in the same order every time."""
        return DataLoader(self.windows, batch_size=None)


def _blocks(masks: NDArray[np.bool_], side: int, count: int, seed: int) -> NDArray[np.bool_]:
    """Mark ``count`` random cells of a grid (K, H // side, W // side) that are at least half masked."""
    frames, height, width = (masks.shape[0], masks.shape[1] // side, masks.shape[2] // side)
    cropped = masks[:, : height * side, : width * side].reshape(frames, height, side, width, side)
    candidates = np.argwhere(cropped.mean(axis=(2, 4)) >= 0.5)
    chosen = np.random.default_rng((seed, 2)).permutation(candidates)[:count]
    held = np.zeros_like(masks)
    for frame, row, column in chosen:
        held[frame, row * side : (row + 1) * side, column * side : (column + 1) * side] = True
    return held & masks


def _cells(held: NDArray[np.bool_], side: int) -> NDArray[np.int64]:
    """Centres (N, 3) of all cells of a grid that contain held-out pixels: keyframe, y, x."""
    frames, height, width = held.shape
    rows, columns = -(-height // side), -(-width // side)
    padded = np.pad(held, ((0, 0), (0, rows * side - height), (0, columns * side - width)))
    occupied = padded.reshape(frames, rows, side, columns, side).any(axis=(2, 4))
    return np.argwhere(occupied) * (1, side, side) + (0, side // 2, side // 2)
