"""Scores of alpha mattes against true ones, for the ``evaluate`` stage."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from dreaming.clip.clip import Clip
from dreaming.io.frame_folder import FrameFolder
from dreaming.matting.trimap import soft_band
from dreaming.metrics.alpha import AlphaDtSSD, AlphaGradient, AlphaMSE, AlphaSAD

FRAME = {"alpha MSE": AlphaMSE, "SAD": AlphaSAD, "gradient error": AlphaGradient}


def matte_rows(clip: Clip, mattes: FrameFolder, truth: FrameFolder, stems: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the scores of each named frame within ``soft_band`` of the truth.

    DtSSD is measured where the frame before, of the same shot, has both mattes.
    """
    previous: dict[str, tuple[Tensor, Tensor]] = {}
    before = {after: stem for stem, after in pairwise(clip.stems) if clip.shots.joined(stem, after)}
    for stem in (stem for stem in clip.stems if stem in truth and stem in mattes):
        true = truth.read_matte(stem, clip.size)
        pair, band = (_batch(mattes.read_matte(stem, clip.size)), _batch(true)), _batch(soft_band(true))
        if stem in stems:
            row: dict[str, Any] = {"frame": stem}
            row |= {name: float(metric()(*pair, band)) for name, metric in FRAME.items()}
            last = previous.get(before.get(stem, ""))
            if last is not None:
                row["dtSSD"] = float(AlphaDtSSD()(last[0], pair[0], last[1], pair[1], band))
            yield row
        previous = {stem: pair}


def _batch(picture: NDArray[Any]) -> Tensor:
    return torch.from_numpy(picture)[None, None]
