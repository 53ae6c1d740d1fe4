"""Patches of stylised keyframes: drawn in batches for training, fixed windows for judging progress."""

import logging
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from dreaming.data.base import SteppedDataModule
from dreaming.data.frame_pairs import PairedSample, PairSample, PairSource
from dreaming.data.patches import HeldOutWindows, PatchSource, Shuffle, StyleSample
from dreaming.errors import ConfigError, KeyframeError, MaskError
from dreaming.frames.references import Keyframes

log = logging.getLogger(__name__)

SMALLEST_BLOCK = 8  # pixels; a held-out block smaller than SSIM's window would measure its neighbours


class KeyframesDataModule(SteppedDataModule):
    """Training patches around every masked pixel of the keyframes, and held-out windows.

    Held-out pixels lie inside training patches too, but their stylised colours are masked out of the loss; so nothing
    is lost around them, and none of them is ever a target.

    Args:
        keyframes: One or more, each with the mask of where the style is to be learnt. A name may come several times,
            each time with other guides; all its versions hold out the same pixels.
        patch: Height and width of a training patch in pixels.
        batch_size: Patches a step.
        erosion: Side in pixels of the square by which masks are eroded before centres are drawn; 0 for none.
        holdout: Share of the masked pixels that is held out for validation, in square blocks over all keyframes.
        held_keyframes: Names of keyframes held out as a whole, instead of blocks.
        steps_per_epoch: Batches until the loader starts anew; the draws go on where they were.
        seed: Of the order of patches and the choice of blocks.

    Attributes:
        pairs: Unpainted frames of which patches are handed out, too; None: none are.
        probe: Unpainted frames by which flicker is judged; None: none.

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
        self.pairs: PairSource | None = None
        self.probe: PairSample | None = None
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
        self.held = held
        self.source = PatchSource(keyframes, held)
        self.windows = HeldOutWindows(self.source, held, side, context=patch // 2, budget=batch_size * patch**2)
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
            if unknown or set(self.held_keyframes) == set(self.keyframes.stems):
                raise KeyframeError(
                    "data.keyframes.held_keyframes",
                    found=", ".join(self.held_keyframes),
                    expected=f"some, but not all, of {', '.join(dict.fromkeys(self.keyframes.stems))}",
                    mend="correct the names, or leave it empty to hold out a share of each keyframe",
                )
            chosen = np.isin(self.keyframes.stems, self.held_keyframes)
            return masks & chosen[:, None, None], 2 * self.patch
        names = list(dict.fromkeys(self.keyframes.stems))
        version = [names.index(stem) for stem in self.keyframes.stems]
        masks = masks[[version.index(place) for place in range(len(names))]]
        budget = self.holdout * masks.sum()
        # Several small blocks tell more than one large one; larger than a patch they would be hard to fill in.
        side = int(np.clip(np.sqrt(budget / 4), SMALLEST_BLOCK, max(SMALLEST_BLOCK, self.patch)))
        return _blocks(masks, side, int(budget // side**2), self.seed)[version], side

    def whole(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield each keyframe once: frame and styled, (3, H, W) in -1..1, and what may be learnt, (1, H, W) bool."""
        seen = set[str]()
        for place, stem in enumerate(self.keyframes.stems):
            if stem in seen or (self.withheld and stem in self.held_keyframes):
                continue
            seen.add(stem)
            frame, styled = self.keyframes.sources[place, ..., :3], self.keyframes.styled[place]
            mask = self.keyframes.masks[place]
            if self.withheld:
                mask = mask & ~self.held[place]
            pictures = [torch.from_numpy(image).permute(2, 0, 1).float() / 127.5 - 1 for image in (frame, styled)]
            yield pictures[0], pictures[1], torch.from_numpy(mask)[None]

    def draw(self, step: int) -> PairedSample:
        """The batch of one step: every centre once before any comes again."""
        start = step * self.batch_size
        drawn = np.concatenate([stream.take(start, self.batch_size) for stream in (self._own, self._others)])
        centres = np.stack(np.unravel_index(self.places[drawn], self.keyframes.masks.shape), axis=1)
        frame, styled, held, inside = self.source.gather(torch.from_numpy(centres), self.patch)
        own = slice(self.batch_size)
        mask = inside[own] & ~held[own] if self.withheld else inside[own]
        other = styled[self.batch_size :]
        batch: PairedSample = {"frame": frame[own], "styled": styled[own], "other": other, "mask": mask}
        if self.pairs is not None:
            batch["pair"] = self.pairs.draw(step)
        return batch

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
