"""Patches of stylised keyframes: drawn in batches for training, fixed windows for judging progress."""

import logging
from collections.abc import Iterator, Sequence
from typing import ClassVar, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from dreaming.clip.annotations import Keyframes
from dreaming.data.base import SteppedDataModule
from dreaming.data.frame_pairs import PairedSample, PairSample, PairSource
from dreaming.data.patches import HeldOutFrames, HeldOutWindows, PatchSource, StyleSample
from dreaming.data.scales import ScaledDraws, shrink_keyframes, shrink_marks
from dreaming.errors import ConfigError, KeyframeError, MaskError

log = logging.getLogger(__name__)

SMALLEST_BLOCK = 8  # pixels; a held-out block smaller than SSIM's window would measure its neighbours
LARGEST_BLOCK = 32  # pixels, where whole frames are learnt from


class KeyframesDataModule(SteppedDataModule):
    """Training patches around every masked pixel of the keyframes, and held-out windows.

    Held-out pixels lie inside training patches too, but their stylised colours are masked out of the loss, and so are
    those outside the mask; nothing is lost around them, and none of them is ever a target.

    Args:
        keyframes: One or more, each with the mask of where the style is to be learnt. A name may come several times,
            each time with other guides; all its versions hold out the same pixels.
        patch: Height and width of a training patch in pixels; None for whole keyframes, each once before any comes
            again, and validation on whole keyframes.
        batch_size: Patches, or whole keyframes, a step.
        scales: Of the patches, taken in turn, a step each, so that one that is named twice has twice the steps. At a
            scale of s a patch spans patch / s pixels of the keyframe: see ``averaged``.
        averaged: How that is done. False: at full resolution, with s^2 as many patches a step, so that steps cost the
            same. What is larger than a patch, as strokes are at 1080p, is seen and learnt as a whole. True: brought
            down to ``patch`` pixels by area averaging, as many as ever. This shows the generator shapes and strokes
            smaller than it paints: that prepares it for things that are farther away in other frames, but teaches no
            larger strokes, for it is applied at full resolution.
        edge_share: Share of the patches that are centred near the edge of a keyframe's mask, beside those that fall
            there anyway.
        edge_width: Distance from the mask's outside, in pixels, up to which a pixel is near its edge.
        erosion: Side in pixels of the square by which masks are eroded before centres are drawn; 0 for none.
        holdout: Share of the masked pixels that is held out for validation, in square blocks over all keyframes.
        held_keyframes: Names of keyframes held out as a whole, instead of blocks.
        steps_per_epoch: Batches until the loader starts anew; the draws go on where they were.
        seed: Of the order of patches and the choice of blocks.

    Attributes:
        pairs: Unpainted frames of which patches are handed out, too; None: none are.
        probe: Unpainted frames by which flicker is judged; None: none.

    Raises:
        ConfigError: If a value is out of its range, or a scale leaves no room for a patch's centre.
        KeyframeError: If a held-out keyframe does not exist, or none is left to learn from.
        MaskError: If the eroded mask of a keyframe is empty.
    """

    kind: ClassVar[str] = "keyframes_data_module"

    def __init__(
        self,
        keyframes: Keyframes,
        *,
        patch: int | None = 32,
        batch_size: int = 40,
        scales: Sequence[float] = (1.0,),
        averaged: bool = False,
        edge_share: float = 0.0,
        edge_width: float = 24.0,
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
        self.scales, self.averaged = tuple(scales), averaged
        self.edge_share, self.edge_width = edge_share, edge_width
        for name, value, fits, expected in (
            ("patch", patch, patch is None or patch >= 1, "1 pixel or more, or null for whole keyframes"),
            ("batch_size", batch_size, batch_size >= 1, "1 or more"),
            ("scales", list(scales), scales and all(0 < scale <= 1 for scale in scales), "shares above 0, up to 1"),
            ("averaged", averaged, averaged or patch or set(scales) == {1}, "true for whole keyframes at other scales"),
            ("edge_share", edge_share, 0 <= edge_share <= 1, "a share of 0 to 1"),
            ("edge_width", edge_width, edge_width > 0, "a distance above 0 pixels"),
            ("erosion", erosion, erosion >= 0, "0 pixels or more"),
            ("holdout", holdout, 0 <= holdout <= 0.5, "a share of 0 to 0.5"),
        ):
            if not fits:
                raise ConfigError(f"data.keyframes.{name}", found=str(value), expected=expected, hint="change it")
        centres = self._centres()
        held, side = self._held_out()
        learnable = centres & ~held
        for place, stem in enumerate(keyframes.stems):
            if stem in self.held_keyframes:
                learnable[place] = False
        self.withheld = bool(held.any() and learnable.any())
        if not self.withheld:
            log.warning("No pixels are held out: val/likeness is measured on what is learnt from.")
            held, side, learnable = keyframes.masks, 2 * (patch or LARGEST_BLOCK), centres
        self.held = held
        learnt = keyframes.masks & ~held if self.withheld else keyframes.masks
        self.source = PatchSource(keyframes, learnt, held)
        self.windows: HeldOutWindows | HeldOutFrames = (
            HeldOutFrames(self.source, held)
            if patch is None
            else HeldOutWindows(self.source, held, side, context=patch // 2, budget=batch_size * patch**2)
        )
        edge = self._near_edge() & learnable
        if edge_share and not edge.any():
            log.warning("data.keyframes.edge_share has no effect: no keyframe's mask has an edge.")
        self.draws = {scale: self._draws(scale, learnt, learnable, edge) for scale in dict.fromkeys(self.scales)}

    def _draws(
        self, scale: float, learnt: NDArray[np.bool_], centres: NDArray[np.bool_], edge: NDArray[np.bool_]
    ) -> ScaledDraws:
        source, patch, count = self.source, self.patch, self.batch_size
        if scale != 1 and self.averaged:
            source = PatchSource(shrink_keyframes(self.keyframes, scale), shrink_marks(learnt, scale))
            centres, edge = shrink_marks(centres, scale), shrink_marks(edge, scale)
        elif patch is not None:
            patch, count = round(patch / scale), max(1, round(count * scale**2))
        longer = max(source.height, source.width)
        if patch is not None and patch > longer:
            log.warning(
                "patches of %d pixels are larger than the %d of what they are cut from, the rest is black;"
                " data.keyframes.patch=null learns from whole keyframes",
                patch, longer,
            )  # fmt: skip
        if not centres.any():
            raise ConfigError(
                "data.keyframes.scales",
                found=f"{scale}, at which no pixel lies wholly inside a keyframe's mask",
                expected="scales at which there is room for one patch centre",
                hint="leave it out, or paint a larger region",
            )
        # At full scale the draws are those of a single scale.
        seed = (self.seed,) if scale == 1 else (self.seed, round(1e6 * scale))
        return ScaledDraws(source, centres, edge, patch=patch, batch_size=count, edge_share=self.edge_share, seed=seed)

    @property
    def smallest_batch(self) -> int:
        """Of all scales."""
        return min(draws.batch_size for draws in self.draws.values())

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
                    hint="paint a larger region or lower data.keyframes.erosion",
                )
        return masks.astype(np.bool_)

    def _near_edge(self) -> NDArray[np.bool_]:
        """(K, H, W): masked pixels near their mask's outside; the frame's border is no edge."""
        masks = self.keyframes.masks.astype(np.uint8)
        far = [cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for mask in masks]
        return self.keyframes.masks & (np.stack(far) <= self.edge_width)

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
                    hint="correct the names, or leave it empty to hold out a share of each keyframe",
                )
            chosen = np.isin(self.keyframes.stems, self.held_keyframes)
            return masks & chosen[:, None, None], 2 * (self.patch or LARGEST_BLOCK)
        names = list(dict.fromkeys(self.keyframes.stems))
        version = [names.index(stem) for stem in self.keyframes.stems]
        masks = masks[[version.index(place) for place in range(len(names))]]
        budget = self.holdout * masks.sum()
        # Several small blocks tell more than one large one; larger than a patch they would be hard to fill in.
        largest = max(SMALLEST_BLOCK, self.patch or LARGEST_BLOCK)
        side = int(np.clip(np.sqrt(budget / 4), SMALLEST_BLOCK, largest))
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

    def make_batch(self, step: int) -> PairedSample:
        """The batch of one step, at the scale whose turn it is."""
        rounds, place = divmod(step, len(self.scales))
        scale = self.scales[place]
        drawn = self.draws[scale].make_batch(rounds * self.scales.count(scale) + self.scales[:place].count(scale))
        batch = cast(PairedSample, drawn)
        if self.pairs is not None:
            batch["pair"] = self.pairs.make_batch(step)
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
