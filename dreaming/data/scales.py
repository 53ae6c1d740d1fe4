"""Keyframes at one of several scales: shrunk by area averaging, with their own draws of what is learnt from."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dreaming.clip.annotations import Keyframes
from dreaming.data.patches import PatchSample, PatchSource, Shuffle, StyleSample


def shrink(pictures: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Pictures (K, H, W, C) at ``scale`` of their height and width, each pixel the mean of those it covers."""
    if scale == 1:
        return pictures
    height, width = (max(1, round(length * scale)) for length in pictures.shape[1:3])
    # OpenCV averages four channels at a time.
    groups = range(0, pictures.shape[3], 4)
    shrunk = np.empty((len(pictures), height, width, pictures.shape[3]), np.uint8)
    for place, picture in enumerate(pictures):
        for first in groups:
            part = np.ascontiguousarray(picture[..., first : first + 4])
            made = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
            shrunk[place, ..., first : first + 4] = made.reshape(height, width, -1)
    return shrunk


def shrink_marks(marks: NDArray[np.bool_], scale: float) -> NDArray[np.bool_]:
    """Marks (K, H, W) at a scale: a pixel is marked where all pixels that it covers, wholly or partly, are."""
    if scale == 1:
        return marks
    height, width = (max(1, round(length * scale)) for length in marks.shape[1:])
    shrunk = np.empty((len(marks), height, width), np.bool_)
    for place, marked in enumerate(marks):
        blank = cv2.resize((~marked).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        shrunk[place] = blank == 0
    return shrunk


def shrink_keyframes(keyframes: Keyframes, scale: float) -> Keyframes:
    """Frames, guides and styled pictures at a scale; masks only where a pixel is masked wholly."""
    return replace(
        keyframes,
        sources=shrink(keyframes.sources, scale),
        styled=shrink(keyframes.styled, scale),
        masks=shrink_marks(keyframes.masks, scale),
    )


class ScaledDraws:
    """Training batches of keyframes at one scale.

    Args:
        source: The keyframes' pixels at this scale.
        centres: (K, H, W) bool, where the centre of a patch may lie.
        edge: (K, H, W) bool, where it is near the mask's edge.
        patch: Height and width of a patch in pixels; None for whole frames, those with any centre.
        batch_size: Patches or frames a batch.
        edge_share: Share of the patches that are centred near the edge, where there is one.
        seed: Numbers that tell these draws from those of other scales.
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
        self.places = np.flatnonzero(centres.any(axis=(1, 2)) if patch is None else centres)
        near = np.flatnonzero(edge & centres)
        self.edge_share = edge_share if len(near) and patch is not None else 0.0
        self._everywhere, self._others, self._near = (
            (places, Shuffle(len(places), (*seed, stream)))
            for places, stream in ((self.places, 0), (self.places, 1), (near, 3))
        )

    def make_batch(self, turn: int) -> StyleSample:
        """The batch of one of this scale's turns: every centre comes once before any comes again."""
        start, end = turn * self.batch_size, (turn + 1) * self.batch_size
        # Rounded over all turns, so that a small batch keeps to the share as well.
        near = [int(self.edge_share * count) for count in (start, end)]
        drawn = [
            _take(self._everywhere, start - near[0], end - near[1]),
            _take(self._near, *near),
            _take(self._others, start, end),
        ]
        pieces = self._cut(np.concatenate(drawn))
        own = slice(self.batch_size)
        return {
            "frame": pieces["frame"][own],
            "styled": pieces["styled"][own],
            "other": pieces["styled"][self.batch_size :],
            "mask": pieces["learnt"][own],
        }

    def _cut(self, places: NDArray[np.intp]) -> PatchSample:
        if self.patch is None:
            return self.source.whole(torch.from_numpy(places))
        centres: Tensor = torch.from_numpy(np.stack(np.unravel_index(places, self._shape), axis=1))
        return self.source.gather(centres, self.patch)


def _take(stream: tuple[NDArray[np.intp], Shuffle], start: int, end: int) -> NDArray[np.intp]:
    places, draws = stream
    return places[draws.take(start, end - start)]
