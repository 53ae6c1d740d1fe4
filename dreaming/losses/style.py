"""Loss terms of style networks, unweighted, and the discriminator's loss."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

FeatureMaps: TypeAlias = Sequence[Tensor]
"""Outputs (B, C, H, W) of several layers, which differ in C, H and W."""

STRUCTURE_SIDE = 11
"""Side in pixels of the SSIM window, as in Wang et al. 2004."""


def pixel_loss(generated: Tensor, styled: Tensor) -> Tensor:
    """Mean absolute difference of two images (B, 3, H, W) in -1..1."""
    return functional.l1_loss(generated, styled)


def adversarial_loss(predictions: Tensor) -> Tensor:
    """The generator's loss of a least-squares GAN from the discriminator's predictions, any shape.

    Source: Mao et al. 2017, equation 9 with c = 1, without the factor 1/2 as in Texler et al. 2020.
    """
    return functional.mse_loss(predictions, torch.ones_like(predictions))


def discriminator_loss(real: Tensor, generated: Tensor) -> Tensor:
    """The discriminator's loss of a least-squares GAN from predictions, any shape; the generator is detached.

    Source: Mao et al. 2017, equation 9 with a = 0, b = 1.
    """
    return (
        functional.mse_loss(real, torch.ones_like(real)) + functional.mse_loss(generated, torch.zeros_like(generated))
    ) / 2


def feature_distance(generated: FeatureMaps, styled: FeatureMaps) -> Tensor:
    """Mean squared difference over the entries of all maps, so larger maps count more (Texler et al. 2020)."""
    squared = [functional.mse_loss(a, b, reduction="sum") for a, b in zip(generated, styled, strict=True)]
    return torch.stack(squared).sum() / sum(a.numel() for a in generated)


def feature_matching(generated: FeatureMaps, styled: FeatureMaps) -> Tensor:
    """Mean absolute difference of the discriminator's features, with equal weight for each layer.

    Source: Wang et al. 2018 (pix2pixHD), equation 4, with the mean over the layers instead of the sum.
    """
    return torch.stack([functional.l1_loss(a, b) for a, b in zip(generated, styled, strict=True)]).mean()


def similarity(one: Tensor, other: Tensor, *, side: int = STRUCTURE_SIDE, sigma: float = 1.5) -> Tensor:
    """Structural similarity around each pixel (Wang et al. 2004, equation 13), as ``metrics.similarity.ssim`` means it.

    It is computed in float32 even under autocast, because variances are small differences of squares. Windows that
    cross the border are left out: images (B, C, H, W) in -1..1 give (B, C, H - side + 1, W - side + 1). The Gaussian,
    of ``side`` pixels (odd) and deviation ``sigma``, is applied as two banded matrices, whose gradient takes a tenth of
    a convolution's time.
    """
    with torch.autocast(one.device.type, enabled=False):
        one, other = (one.float() + 1) / 2, (other.float() + 1) / 2
        rows, columns = (_gaussian(length, side, sigma, one.device) for length in one.shape[-2:])
        stacked = torch.stack((one, other, one * one, other * other, one * other))
        a, b, aa, bb, ab = rows @ stacked @ columns.T
        c1, c2 = 0.01**2, 0.03**2
        numerator = (2 * a * b + c1) * (2 * (ab - a * b) + c2)
        return numerator / ((a * a + b * b + c1) * (aa - a * a + bb - b * b + c2))


def _gaussian(length: int, side: int, sigma: float, device: torch.device) -> Tensor:
    """Matrix (length - side + 1, length) of the Gaussian means over all windows of a line."""
    distance = torch.arange(length, device=device) - torch.arange(length - side + 1, device=device)[:, None] - side // 2
    weights = torch.exp(-(distance**2) / (2 * sigma**2)) * (distance.abs() <= side // 2)
    return weights / weights.sum(dim=1, keepdim=True)


def structure_loss(generated: Tensor, styled: Tensor) -> Tensor:
    """One minus the mean structural similarity of two images (B, 3, H, W) in -1..1."""
    return 1 - similarity(generated, styled).mean()


def gradient(image: Tensor) -> Tensor:
    """Length (B, 1, H, W) of the colour gradient of (B, C, H, W), from differences to the next pixel."""
    across = functional.pad(image.diff(dim=-1), (0, 1, 0, 0))
    down = functional.pad(image.diff(dim=-2), (0, 0, 0, 1))
    # The root has no derivative at 0.
    return (across**2 + down**2).sum(dim=1, keepdim=True).add(1e-12).sqrt()


def temporal_loss(before: Tensor, after: Tensor, motion: Tensor, visible: Tensor) -> Tensor:
    """Mean absolute difference between images (B, C, H, W) and their warped predecessors; 0 without visible pixels.

    Source: Ruder et al., "Artistic Style Transfer for Videos", GCPR 2016, equation 7, with absolute instead of squared
    differences, like ``metrics.flicker``.

    Args:
        before: The predecessor.
        after: The image.
        motion: (B, 2, H, W), (x, y) in pixels from a pixel of ``after`` to its position in ``before``.
        visible: (B, 1, H, W) bool, pixels that count.
    """
    height, width = after.shape[-2:]
    y, x = torch.meshgrid(*(torch.arange(length, device=after.device) for length in (height, width)), indexing="ij")
    # In grid_sample -1 and 1 are the centres of the first and the last pixel.
    across = 2 * (x + motion[:, 0]) / (width - 1) - 1
    down = 2 * (y + motion[:, 1]) / (height - 1) - 1
    grid = torch.stack((across, down), dim=-1)
    with torch.autocast(after.device.type, enabled=False):
        warped = functional.grid_sample(before.float(), grid, padding_mode="border", align_corners=True)
        difference = (after.float() - warped).abs() * visible
    return difference.sum() / (visible.sum() * after.shape[1]).clamp(min=1)
