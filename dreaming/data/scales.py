"""Training batches of keyframes at one of several scales."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dreaming.clip.annotations import Keyframes
from dreaming.data.patches import PatchSample, PatchSource, Shuffle, StyleSample


def downsample(images: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Scale images (K, H, W, C) down by area averaging."""
    if scale == 1:
        return images
    height, width = (max(1, round(length * scale)) for length in images.shape[1:3])
    small = np.empty((len(images), height, width, images.shape[3]), np.uint8)
    for index, image in enumerate(images):
        for first in range(0, images.shape[3], 4):  # OpenCV resizes four channels at most
            part = np.ascontiguousarray(image[..., first : first + 4])
            resized = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
            small[index, ..., first : first + 4] = resized.reshape(height, width, -1)
    return small


def downsample_masks(masks: NDArray[np.bool_], scale: float) -> NDArray[np.bool_]:
    """Scale masks (K, H, W) down: a pixel is set if all pixels that it covers, even partly, are."""
    if scale == 1:
        return masks
    height, width = (max(1, round(length * scale)) for length in masks.shape[1:])
    small = np.empty((len(masks), height, width), np.bool_)
    for index, mask in enumerate(masks):
        unset = cv2.resize((~mask).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        small[index] = unset == 0
    return small


def downsample_keyframes(keyframes: Keyframes, scale: float) -> Keyframes:
    """Scale frames, guides, painted keyframes and masks down."""
    return replace(
        keyframes,
        sources=downsample(keyframes.sources, scale),
        styled=downsample(keyframes.styled, scale),
        masks=downsample_masks(keyframes.masks, scale),
    )


class ScaleSampler:
    """Training batches of keyframes at one scale.

    Args:
        source: Pixels of the keyframes at this scale.
        centres: (K, H, W) bool, allowed centres of patches.
        edge: (K, H, W) bool, pixels near the mask's edge.
        patch: Height and width of a patch in pixels; None: whole keyframes that have an allowed centre.
        batch_size: Patches or keyframes per batch.
        edge_share: Share of the patches that are centred near the edge, if there is one.
        seed: Seed of this scale.
    """

    def __init__(
        self,
        source: PatchSource,
        centres: NDArray[np.bool_],
        edge: NDArray[np.bool_],
        *,
        patch: int | None,
        batch_size: int,
        edge_share: float,
        seed: Sequence[int],
    ) -> None:
        self.source, self.patch, self.batch_size = source, patch, batch_size
        self._shape = centres.shape
        self.index = np.flatnonzero(centres.any(axis=(1, 2)) if patch is None else centres)
        near = np.flatnonzero(edge & centres)
        self.edge_share = edge_share if len(near) and patch is not None else 0.0
        self._everywhere, self._others, self._near = (
            (index, Shuffle(len(index), (*seed, stream)))
            for index, stream in ((self.index, 0), (self.index, 1), (near, 3))
        )

    def make_batch(self, turn: int) -> StyleSample:
        """Make this scale's batch number ``turn``; every centre occurs once before any is repeated."""
        start, end = turn * self.batch_size, (turn + 1) * self.batch_size
        # Rounding the sum over all batches keeps the share exact for small batches too.
        near = [int(self.edge_share * count) for count in (start, end)]
        index = [
            _take(self._everywhere, start - near[0], end - near[1]),
            _take(self._near, *near),
            _take(self._others, start, end),
        ]
        patches = self._crop(np.concatenate(index))
        own = slice(self.batch_size)
        return {
            "frame": patches["frame"][own],
            "styled": patches["styled"][own],
            "other": patches["styled"][self.batch_size :],
            "mask": patches["training"][own],
        }

    def _crop(self, index: NDArray[np.intp]) -> PatchSample:
        if self.patch is None:
            return self.source.whole(torch.from_numpy(index))
        centres: Tensor = torch.from_numpy(np.stack(np.unravel_index(index, self._shape), axis=1))
        return self.source.gather(centres, self.patch)


def _take(stream: tuple[NDArray[np.intp], Shuffle], start: int, end: int) -> NDArray[np.intp]:
    index, shuffle = stream
    return index[shuffle.take(start, end - start)]
