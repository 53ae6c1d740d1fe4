"""Training patches and validation windows of painted keyframes."""

import logging
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dreaming.clip.annotations import Keyframes
from dreaming.constraints import (
    BatchSize,
    ImageSide,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Range,
    Seed,
    UnitFloat,
)
from dreaming.data.base import SteppedDataModule
from dreaming.data.frame_pairs import PairedSample, PairSample, PairSource
from dreaming.data.patches import HeldOutFrames, HeldOutWindows, PatchSource
from dreaming.data.scales import ScaleSampler
from dreaming.errors import KeyframeError, MaskError, ParameterError

log = logging.getLogger(__name__)

LARGE_PATCH = 512
"""Side in pixels of a patch that is never too large, however small the keyframes are."""

MIN_BLOCK = 8  # pixels; SSIM in a block much smaller than its window measures the neighbours
MAX_BLOCK = 32  # pixels, if the network trains on whole frames


class KeyframesDataModule(SteppedDataModule):
    """Training patches around the masked pixels of the keyframes, and validation windows on held-out pixels.

    Held-out pixels are visible in training patches, but the loss ignores their painted colours, and those outside the
    mask.

    Args:
        keyframes: One or more keyframes with masks of the pixels to train on. A name may occur several times with
            different guides; all its versions hold out the same pixels.
        patch: Height and width of a training patch in pixels; None: whole keyframes, in training and validation.
        batch_size: Patches or whole keyframes per step.
        scales: Scales of the patches, one per step in turn; a scale that occurs twice has twice the steps. At a scale
            of s a patch has patch / s pixels, and a step s^2 times as many patches, so that steps take equally long.
            The network then sees structures larger than ``patch``, such as strokes at 1080p.
        edge_share: Share of additional patches that are centred near the edge of a keyframe's mask.
        edge_width: Maximum distance in pixels from the outside of the mask to its edge pixels.
        erosion: Side in pixels of the square that erodes masks before patch centres are chosen; 0: no erosion.
        holdout: Share of the masked pixels that is held out for validation, in square blocks over all keyframes.
        holdout_keyframes: Names of keyframes that are held out as a whole, instead of blocks.
        steps_per_epoch: Batches per epoch; the order of patches continues over epochs.
        seed: Seed of the order of patches and the choice of blocks.

    Attributes:
        pairs: Source of patches of unpainted frames in each training batch; None: none.
        probe: Crops of unpainted frames to measure flicker.

    Raises:
        ParameterError: If there is no scale, or another one than 1 for whole keyframes.
        KeyframeError: If a held-out keyframe does not exist, or none is left to train on.
        MaskError: If the eroded mask of a keyframe is empty.
    """

    kind: ClassVar[str] = "keyframes_data_module"

    def __init__(
        self,
        keyframes: Keyframes,
        *,
        patch: ImageSide | None = 32,
        batch_size: BatchSize = 40,
        scales: Sequence[Annotated[float, Range(gt=0, le=1)]] = (1.0,),
        edge_share: UnitFloat = 0.0,
        edge_width: PositiveFloat = 24.0,
        erosion: NonNegativeInt = 7,
        holdout: Annotated[float, Range(ge=0, le=0.5)] = 0.1,
        holdout_keyframes: Sequence[str] = (),
        steps_per_epoch: PositiveInt = 100,
        seed: Seed = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, steps_per_epoch=steps_per_epoch, seed=seed)
        self.pairs: PairSource | None = None
        self.probe: Sequence[PairSample] = ()
        self.keyframes, self.patch, self.erosion = keyframes, patch, erosion
        self.holdout, self.holdout_keyframes = holdout, tuple(holdout_keyframes)
        self.scales = tuple(scales)
        self.edge_share, self.edge_width = edge_share, edge_width
        if not scales:
            raise ParameterError("scales", found="an empty list", expected="at least one scale")
        if patch is None and set(scales) != {1}:
            raise ParameterError("scales", found=list(scales), expected="[1.0] for whole keyframes")
        if patch is not None and patch > (most := max(LARGE_PATCH, 2 * max(keyframes.masks.shape[1:]))):
            raise ParameterError("patch", found=patch, expected=f"at most {most}, because patches are empty beyond")
        centres = self._centres()
        held_out, side = self._choose_held_out()
        allowed = centres & ~held_out & ~self._held_out_as_a_whole()
        self.has_holdout = bool(held_out.any() and allowed.any())
        if not self.has_holdout:
            log.warning("No pixels are held out, so val/likeness is measured on training pixels.")
            held_out, side, allowed = keyframes.masks, 2 * (patch or MAX_BLOCK), centres
        self.held_out = held_out
        training = keyframes.masks & ~held_out if self.has_holdout else keyframes.masks
        self.source = PatchSource(keyframes, training, held_out)
        self.windows: HeldOutWindows | HeldOutFrames = (
            HeldOutFrames(self.source, held_out)
            if patch is None
            else HeldOutWindows(self.source, held_out, side, context=patch // 2, max_pixels=batch_size * patch**2)
        )
        edge = self._near_edge() & allowed
        if edge_share and not edge.any():
            log.warning("edge_share has no effect, because no keyframe's mask has an edge.")
        self.samplers = {scale: self._sampler(scale, allowed, edge) for scale in dict.fromkeys(self.scales)}

    def _sampler(self, scale: float, centres: NDArray[np.bool_], edge: NDArray[np.bool_]) -> ScaleSampler:
        patch, count = self.patch, max(1, round(self.batch_size * scale**2))
        if patch is not None:
            patch = round(patch / scale)
            if patch > (longer := max(self.source.height, self.source.width)):
                log.warning("patches of %d pixels are larger than keyframes of %d pixels", patch, longer)
        # Batches at full scale do not depend on whether there are other scales.
        seed = (self.seed,) if scale == 1 else (self.seed, round(1e6 * scale))
        return ScaleSampler(
            self.source, centres, edge, patch=patch, batch_size=count, edge_share=self.edge_share, seed=seed
        )

    def setup(self, stage: str) -> None:
        """Move the keyframes to the Trainer's device, where patches are cropped."""
        if self.trainer is not None:
            self.source.to(self.trainer.strategy.root_device)

    def teardown(self, stage: str) -> None:
        """Free the device's memory."""
        self.source.to("cpu")

    @property
    def pins_memory(self) -> bool:
        """Whether patches are cropped in main memory although a GPU trains on them."""
        return super().pins_memory and self.source.device.type == "cpu"

    @property
    def smallest_batch(self) -> int:
        """Samples of the smallest batch of all scales."""
        return min(sampler.batch_size for sampler in self.samplers.values())

    def _centres(self) -> NDArray[np.bool_]:
        """Allowed centres of training patches, (K, H, W)."""
        masks = self.keyframes.masks.astype(np.uint8)
        if self.erosion > 1:
            kernel = np.ones((self.erosion, self.erosion), np.uint8)
            masks = np.stack([cv2.erode(mask, kernel) for mask in masks])
        for stem, mask, eroded in zip(self.keyframes.stems, self.keyframes.masks, masks, strict=True):
            if not eroded.any():
                raise MaskError(
                    f"mask of keyframe {stem}",
                    found=f"{int(mask.sum())} pixels, and none after erosion by {self.erosion} pixels",
                    expected="a larger region",
                    hint="paint a larger region or reduce data.keyframes.erosion",
                )
        return masks.astype(np.bool_)

    def _near_edge(self) -> NDArray[np.bool_]:
        """Pixels near the edge of their mask, (K, H, W); the frame's border is not an edge."""
        masks = self.keyframes.masks.astype(np.uint8)
        distance = [cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for mask in masks]
        return self.keyframes.masks & (np.stack(distance) <= self.edge_width)

    def _held_out_as_a_whole(self) -> NDArray[np.bool_]:
        """Whether each keyframe is held out, (K, 1, 1)."""
        return np.isin(self.keyframes.stems, self.holdout_keyframes)[:, None, None]

    def _choose_held_out(self) -> tuple[NDArray[np.bool_], int]:
        """Held-out pixels (K, H, W), and the side of the cells in which they are measured."""
        masks = self.keyframes.masks
        if self.holdout_keyframes:
            unknown = set(self.holdout_keyframes) - set(self.keyframes.stems)
            if unknown or set(self.holdout_keyframes) == set(self.keyframes.stems):
                raise KeyframeError(
                    "data.keyframes.holdout_keyframes",
                    found=", ".join(self.holdout_keyframes),
                    expected=f"some, but not all, of {', '.join(dict.fromkeys(self.keyframes.stems))}",
                )
            return masks & self._held_out_as_a_whole(), 2 * (self.patch or MAX_BLOCK)
        names = list(dict.fromkeys(self.keyframes.stems))
        version = [names.index(stem) for stem in self.keyframes.stems]
        masks = masks[[version.index(index) for index in range(len(names))]]
        pixels = self.holdout * masks.sum()
        # Several small blocks are more representative than a large one, and in blocks larger than a patch the network
        # sees no painted surroundings.
        side = int(np.clip(np.sqrt(pixels / 4), MIN_BLOCK, max(MIN_BLOCK, self.patch or MAX_BLOCK)))
        return _blocks(masks, side, int(pixels // side**2), self.seed)[version], side

    def iter_keyframes(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield each keyframe once: frame and painting (3, H, W) in -1..1, and pixels to train on (1, H, W) bool."""
        known = set[str]()
        for index, stem in enumerate(self.keyframes.stems):
            if stem in known or (self.has_holdout and stem in self.holdout_keyframes):
                continue
            known.add(stem)
            images = self.keyframes.sources[index, ..., :3], self.keyframes.styled[index]
            mask = self.keyframes.masks[index]
            if self.has_holdout:
                mask = mask & ~self.held_out[index]
            frame, styled = (torch.from_numpy(image).permute(2, 0, 1).float() / 127.5 - 1 for image in images)
            yield frame, styled, torch.from_numpy(mask)[None]

    def make_batch(self, step: int) -> PairedSample:
        """Make this device's share of one step's batch; the scales take turns."""
        rounds, index = divmod(step, len(self.scales))
        scale = self.scales[index]
        turn = rounds * self.scales.count(scale) + self.scales[:index].count(scale)
        batch = cast(PairedSample, self.samplers[scale].make_batch(turn, self.local_rows))
        if self.pairs is not None:
            batch["pair"] = self.pairs.make_batch(step)
        return batch

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """Held-out windows, and the crops of unpainted frames if there are any, in constant order."""
        datasets = (self.windows, self.probe) if self.probe else (self.windows,)
        return [DataLoader(cast(Dataset[Any], dataset), batch_size=None) for dataset in datasets]


def _blocks(masks: NDArray[np.bool_], side: int, count: int, seed: int) -> NDArray[np.bool_]:
    """Choose ``count`` random cells of a grid (K, H // side, W // side) that are at least half masked."""
    frames, height, width = (masks.shape[0], masks.shape[1] // side, masks.shape[2] // side)
    cropped = masks[:, : height * side, : width * side].reshape(frames, height, side, width, side)
    candidates = np.argwhere(cropped.mean(axis=(2, 4)) >= 0.5)
    chosen = np.random.default_rng((seed, 2)).permutation(candidates)[:count]
    held_out = np.zeros_like(masks)
    for frame, row, column in chosen:
        held_out[frame, row * side : (row + 1) * side, column * side : (column + 1) * side] = True
    return held_out & masks
