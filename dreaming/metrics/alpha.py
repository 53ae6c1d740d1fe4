"""Errors of alpha mattes: MSE, SAD, gradient error and dtSSD, of whole frames or of a band of unknown pixels.

Units are those of the usual tables: MSE times 1000, SAD and gradient error divided by 1000, dtSSD times 100.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from dreaming.metrics.base import FrameMean

GRADIENT_SIGMA = 1.4
"""Standard deviation of the gradient's Gaussian, in pixels (Rhemann et al. 2009)."""


class MatteMean(FrameMean):
    """Mean over frames of an error of alpha mattes (B, 1, H, W) in 0..1; 0 for equal mattes."""

    higher_is_better = False

    def update(  # type: ignore[override]  # its sequences by name
        self, alpha: Tensor, truth: Tensor, unknown: Tensor | None = None
    ) -> None:
        """Add frames; only pixels where ``unknown`` (B, 1, H, W) is true count, or all if it is None."""
        super().update(alpha, truth, torch.ones_like(truth, dtype=torch.bool) if unknown is None else unknown)


class AlphaMSE(MatteMean):
    """Mean of squared differences, times 1000; a frame without unknown pixels scores 0."""

    def score(self, alpha: Tensor, truth: Tensor, unknown: Tensor) -> Tensor:
        """MSE of one matte (1, H, W)."""
        return 1000 * _mean((alpha - truth) ** 2, unknown)


class AlphaSAD(MatteMean):
    """Sum of absolute differences, divided by 1000."""

    def score(self, alpha: Tensor, truth: Tensor, unknown: Tensor) -> Tensor:
        """SAD of one matte (1, H, W)."""
        return (alpha - truth)[unknown].abs().sum() / 1000


class AlphaGradient(MatteMean):
    """Sum of squared differences between the lengths of gradients, divided by 1000.

    Source: Rhemann et al., "A Perceptually Motivated Online Benchmark for Image Matting", CVPR 2009; the gradient is
    that of a Gaussian of ``GRADIENT_SIGMA``, whose filter is normalised in the 2-norm, as in the authors' program.
    """

    def score(self, alpha: Tensor, truth: Tensor, unknown: Tensor) -> Tensor:
        """Gradient error of one matte (1, H, W)."""
        return (_gradient(alpha) - _gradient(truth))[unknown].square().sum() / 1000


class AlphaDtSSD(FrameMean):
    """Mean over pairs of successive frames of the error of the change from one to the next, times 100.

    Source: dtSSD of Erofeev et al., "Perceptually Motivated Benchmark for Video Matting", BMVC 2015: the root mean
    square of the differences between the two changes in time.
    """

    higher_is_better = False

    def update(  # type: ignore[override]  # its sequences by name
        self, before: Tensor, after: Tensor, true_before: Tensor, true_after: Tensor, unknown: Tensor | None = None
    ) -> None:
        """Add pairs of successive mattes, all (B, 1, H, W) in 0..1; ``unknown`` as in ``MatteMean``."""
        counts = torch.ones_like(true_after, dtype=torch.bool) if unknown is None else unknown
        super().update(after - before, true_after - true_before, counts)

    def score(self, change: Tensor, true_change: Tensor, unknown: Tensor) -> Tensor:
        """DtSSD of one pair, from the changes (1, H, W) of both mattes."""
        return 100 * _mean((change - true_change) ** 2, unknown).sqrt()


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    return values[counts].sum() / counts.sum().clamp(min=1)


def _gradient(alpha: Tensor) -> Tensor:
    """Length of the gradient of a matte (1, H, W)."""
    reach = math.ceil(GRADIENT_SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * GRADIENT_SIGMA * 0.01)))
    offsets = torch.arange(-reach, reach + 1, dtype=alpha.dtype, device=alpha.device)
    gauss = torch.exp(-(offsets**2) / (2 * GRADIENT_SIGMA**2))
    kernel = torch.outer(gauss, gauss * offsets)
    kernel = (kernel / kernel.norm())[None, None]
    padded = pad(alpha[None], (reach,) * 4, mode="replicate")
    return torch.hypot(conv2d(padded, kernel), conv2d(padded, kernel.mT))[0]
