"""Metrics of style networks on held-out pixels and on unpainted frames."""

import math
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.functional.image import structural_similarity_index_measure

from dreaming.constraints import NonNegativeFloat
from dreaming.data.frame_pairs import PairSample
from dreaming.losses.style import FeatureMaps, feature_distance, gradient, temporal_loss
from dreaming.metrics.strokes import PATCH, Crispness, StrokeDistance

Powers: TypeAlias = Mapping[Literal["sharpness", "flicker", "perceptual"], NonNegativeFloat]
"""Powers of the terms in ``composite_score``; a missing one is 0."""


def composite_score(values: Mapping[str, Tensor], powers: Powers) -> Tensor:
    """Compute ``likeness * sharpness^a / ((1 + flicker)^b (1 + perceptual)^c)`` with powers a, b and c.

    Likeness alone prefers blur where strokes are unpredictable. At a = 0.1 a tenth of the sharpness counts as much as a
    hundredth of the likeness; at b = 0.1 a tenth of the source's own flicker counts as much as 0.006 of the likeness.

    Args:
        values: Results of ``StyleMetrics``, and ``flicker`` if it was measured.
        powers: The powers a, b and c.
    """
    penalties = [(1 + values[name]) ** powers.get(name, 0.0) for name in ("flicker", "perceptual") if name in values]
    return values["likeness"].clamp(min=0) * values["sharpness"] ** powers.get("sharpness", 0.0) / math.prod(penalties)


class StyleMetrics(Metric):
    """Compare stylised windows with painted ones, over all held-out pixels of a validation.

    ``likeness`` is SSIM (11x11 Gaussian), ``loss`` the mean absolute difference, ``sharpness`` the ratio of the mean
    gradients (the smaller by the larger), ``perceptual`` the distance of VGG features, if there are any. With the
    ``propagated`` guide all are better than on frames without a keyframe, because a window's input contains its own
    strokes, propagated to a neighbour and back. The metrics rank checkpoints; they do not predict the quality of the
    whole clip.
    """

    full_state_update = False
    means = ("likeness", "loss", "gradient", "styled_gradient", "perceptual")
    totals: Tensor
    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        for state in ("totals", "weights"):
            self.add_state(state, torch.zeros(len(self.means)), dist_reduce_fx="sum")

    def update(
        self, generated: Tensor, styled: Tensor, mask: Tensor, vgg: Callable[[Tensor], FeatureMaps] | None = None
    ) -> None:
        """Add a batch of windows.

        Args:
            generated: (B, 3, H, W) in -1..1.
            styled: The painted windows, (B, 3, H, W) in -1..1.
            mask: (B, 1, H, W) bool, the held-out pixels.
            vgg: Computes feature maps; None: ``perceptual`` is not measured.
        """
        weight = mask.float()
        if vgg is not None:
            distance = feature_distance(vgg(torch.where(mask, generated, styled)), vgg(styled))
            self._add("perceptual", distance, weight.sum())
        # SSIM's constants assume colours in 0..1.
        generated, styled = (generated + 1) / 2, (styled + 1) / 2
        # Its variances are small differences of squares, which half precision cannot represent.
        with torch.autocast(generated.device.type, enabled=False):
            similarity = structural_similarity_index_measure(generated, styled, data_range=1.0, return_full_image=True)
        self._add("likeness", similarity[1], weight.expand_as(styled))
        self._add("loss", (generated - styled).abs(), weight.expand_as(styled))
        self._add("gradient", gradient(generated), weight)
        self._add("styled_gradient", gradient(styled), weight)

    def _add(self, name: str, values: Tensor, weight: Tensor) -> None:
        index = self.means.index(name)
        self.totals[index] += (values * weight).sum()
        self.weights[index] += weight.sum()

    def compute(self) -> dict[str, Tensor]:
        """Return the metrics by name."""
        means = dict(zip(self.means, self.totals / self.weights, strict=True))
        strokes = torch.stack((means.pop("gradient"), means.pop("styled_gradient")))
        if not self.weights[self.means.index("perceptual")]:
            del means["perceptual"]
        return means | {"sharpness": strokes.min() / strokes.max().clamp(min=1e-6)}


class HeldOutStrokes(MetricCollection):
    """``crispness`` and ``stroke_distance`` of stylised windows, on their held-out pixels."""

    def __init__(self) -> None:
        super().__init__({"crispness": Crispness(), "stroke_distance": StrokeDistance()})

    def add(self, generated: Tensor, styled: Tensor, mask: Tensor) -> None:
        """Add a batch of windows as one mosaic each, because a single window has too few strokes.

        Args:
            generated: (B, 3, H, W) in -1..1.
            styled: The painted windows, (B, 3, H, W) in -1..1.
            mask: (B, 1, H, W) bool, the held-out pixels; a batch that has them in less than 8 rows or columns is left
                out.
        """
        rows, columns = (mask.any(dim=axes).nonzero() for axes in ((0, 1, 3), (0, 1, 2)))
        if min(len(rows), len(columns)) <= PATCH:
            return
        box = (..., slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
        pair = (torch.where(mask, generated, styled)[box], styled[box])
        self.update(*((windows.permute(1, 2, 0, 3).flatten(2)[None] + 1) / 2 for windows in pair))


class FlickerRatio(Metric):
    """Flicker of stylised frames along the optical flow, as a ratio to the flicker of the source frames."""

    full_state_update = False
    higher_is_better = False
    stylised: Tensor
    source: Tensor

    def __init__(self) -> None:
        super().__init__()
        for state in ("stylised", "source"):
            self.add_state(state, torch.zeros(()), dist_reduce_fx="sum")

    def update(self, before: Tensor, after: Tensor, pair: PairSample) -> None:
        """Add crops of source frames, and the same crops stylised, (B, 3, S, S) in -1..1."""
        motion, visible = pair["motion"], pair["visible"]
        self.stylised += temporal_loss(before, after, motion, visible)
        self.source += temporal_loss(pair["before"][:, :3], pair["after"][:, :3], motion, visible)

    def compute(self) -> Tensor:
        """Return the ratio."""
        return self.stylised / self.source.clamp(min=1e-3)
