"""Training batches of keyframes at one of several scales."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dreaming.data.patches import PatchSource, Shuffle, StyleSample


class ScaleSampler:
    """Training batches of keyframes at one scale.

    Args:
        source: Pixels of the keyframes.
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

    def make_batch(self, turn: int, rows: slice) -> StyleSample:
        """Make some rows of this scale's batch number ``turn``; every centre occurs once before any is repeated."""
        start, end = turn * self.batch_size, (turn + 1) * self.batch_size
        # Rounding the sum over all batches keeps the share exact for small batches too.
        near = [int(self.edge_share * count) for count in (start, end)]
        near_edge = _take(self._near, *near)
        own = np.concatenate([_take(self._everywhere, start - near[0], end - near[1]), near_edge])[rows]
        other = _take(self._others, start, end)[rows]
        index = np.concatenate([own, other])
        if self.patch is None:
            patches = self.source.whole(torch.from_numpy(index))
        else:
            centres = torch.from_numpy(np.stack(np.unravel_index(index, self._shape), axis=1))
            patches = self.source.gather(centres, self.patch)
        return {
            "frame": patches["frame"][: len(own)],
            "styled": patches["styled"][: len(own)],
            "other": patches["styled"][len(own) :],
            "mask": patches["training"][: len(own)],
        }


def _take(stream: tuple[NDArray[np.intp], Shuffle], start: int, end: int) -> NDArray[np.intp]:
    index, shuffle = stream
    return index[shuffle.take(start, end - start)]
