"""What a stylised patch is trained for, as named terms without weights, and the discriminator's loss."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

FeatureMaps: TypeAlias = Sequence[Tensor]
"""Outputs of several layers, each (B, C, H, W) with C, H, W of its own."""

STRUCTURE_SIDE = 11
"""Height and width in pixels of the window in which structure is compared, as in Wang et al. 2004."""


def pixel_loss(generated: Tensor, styled: Tensor) -> Tensor:
    """Mean absolute difference of two images (B, 3, H, W) in -1..1."""
    return functional.l1_loss(generated, styled)


def adversarial_loss(verdicts: Tensor) -> Tensor:
    """How far the discriminator is from taking what was generated for genuine.

    Least squares GAN, Mao et al. 2017, equation 9 with c = 1, without its factor 1/2, as in Texler et al. 2020.

    Args:
        verdicts: On what was generated, any shape.
    """
    return functional.mse_loss(verdicts, torch.ones_like(verdicts))


def discriminator_loss(genuine: Tensor, generated: Tensor) -> Tensor:
    """How badly the discriminator tells genuine from generated (Mao et al. 2017, equation 9 with a = 0, b = 1).

    Args:
        genuine: Verdicts on stylised patches by the painter, any shape.
        generated: Verdicts on the generator's patches, detached from the generator.
    """
    return (
        functional.mse_loss(genuine, torch.ones_like(genuine))
        + functional.mse_loss(generated, torch.zeros_like(generated))
    ) / 2


def feature_distance(generated: FeatureMaps, styled: FeatureMaps) -> Tensor:
    """Mean squared difference over all entries of all maps together: larger maps count more (Texler et al. 2020).

    Args:
        generated: Feature maps of what was generated.
        styled: The same maps of what should have been generated.
    """
    squared = [functional.mse_loss(a, b, reduction="sum") for a, b in zip(generated, styled, strict=True)]
    return torch.stack(squared).sum() / sum(a.numel() for a in generated)


def feature_matching(generated: FeatureMaps, styled: FeatureMaps) -> Tensor:
    """Mean absolute difference of a discriminator's features, each layer counting the same.

    Wang et al. 2018 (pix2pixHD), equation 4, as a mean over the layers where they take the sum.

    Args:
        generated: Feature maps of what was generated.
        styled: The same maps of what should have been generated.
    """
    return torch.stack([functional.l1_loss(a, b) for a, b in zip(generated, styled, strict=True)]).mean()


def similarity(one: Tensor, other: Tensor, *, side: int = STRUCTURE_SIDE, sigma: float = 1.5) -> Tensor:
    """Structural similarity around each pixel (Wang et al. 2004, equation 13), as ``metrics.similarity.ssim`` means it.

    In float32 whatever the autocast: variances are small differences of squares. Windows that reach over the border are
    left out. The Gaussian is applied as two banded matrices, whose gradient costs a tenth of a convolution's.

    Args:
        one: (B, C, H, W) in -1..1, at least ``side`` pixels high and wide.
        other: Alike.
        side: Of the Gaussian window, odd, in pixels.
        sigma: Of the Gaussian, in pixels.

    Returns:
        (B, C, H - side + 1, W - side + 1).
    """
    with torch.autocast(one.device.type, enabled=False):
        one, other = (one.float() + 1) / 2, (other.float() + 1) / 2
        rows, columns = (_gaussian(length, side, sigma, one.device) for length in one.shape[-2:])
        stacked = torch.stack((one, other, one * one, other * other, one * other))
        a, b, aa, bb, ab = rows @ stacked @ columns.T
        stable, contrast = 0.01**2, 0.03**2
        alike = (2 * a * b + stable) * (2 * (ab - a * b) + contrast)
        return alike / ((a * a + b * b + stable) * (aa - a * a + bb - b * b + contrast))


def _gaussian(length: int, side: int, sigma: float, device: torch.device) -> Tensor:
    """Matrix (length - side + 1, length) that takes the Gaussian mean over every window of a line."""
    apart = torch.arange(length, device=device) - torch.arange(length - side + 1, device=device)[:, None] - side // 2
    weights = torch.exp(-(apart**2) / (2 * sigma**2)) * (apart.abs() <= side // 2)
    return weights / weights.sum(dim=1, keepdim=True)


def structure_loss(generated: Tensor, styled: Tensor) -> Tensor:
    """One minus the mean structural similarity of two images (B, 3, H, W) in -1..1."""
    return 1 - similarity(generated, styled).mean()


def gradient(image: Tensor) -> Tensor:
    """Length of the colour gradient (B, 1, H, W) of (B, C, H, W), by differences to the next pixel; 0 at the end."""
    across = functional.pad(image.diff(dim=-1), (0, 1, 0, 0))
    down = functional.pad(image.diff(dim=-2), (0, 0, 0, 1))
    # Next to nothing is added, for the root has no derivative at 0.
    return (across**2 + down**2).sum(dim=1, keepdim=True).add(1e-12).sqrt()


def unsteadiness(before: Tensor, after: Tensor, motion: Tensor, seen: Tensor) -> Tensor:
    """Mean absolute difference between a picture and its predecessor carried onto it along the flow.

    The temporal loss of Ruder et al., "Artistic Style Transfer for Videos", GCPR 2016, equation 7, with absolute
    differences for squares, as ``metrics.flicker`` measures them.

    Args:
        before: (B, C, H, W).
        after: The next one, alike.
        motion: (B, 2, H, W), (x, y) in pixels from a pixel of ``after`` to where it lies in ``before``.
        seen: (B, 1, H, W) bool, where it counts; 0 is returned where that is nowhere.
    """
    height, width = after.shape[-2:]
    y, x = torch.meshgrid(*(torch.arange(length, device=after.device) for length in (height, width)), indexing="ij")
    # grid_sample counts from -1 in the middle of the first pixel to 1 in the middle of the last.
    across = 2 * (x + motion[:, 0]) / (width - 1) - 1
    down = 2 * (y + motion[:, 1]) / (height - 1) - 1
    grid = torch.stack((across, down), dim=-1)
    with torch.autocast(after.device.type, enabled=False):
        carried = functional.grid_sample(before.float(), grid, padding_mode="border", align_corners=True)
        difference = (after.float() - carried).abs() * seen
    return difference.sum() / (seen.sum() * after.shape[1]).clamp(min=1)
