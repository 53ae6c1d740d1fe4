"""What a stylised patch is trained for, as named terms without weights, and the discriminator's loss."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

FeatureMaps: TypeAlias = Sequence[Tensor]
"""Outputs of several layers, each (B, C, H, W) with C, H, W of its own."""


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


def generator_terms(
    generated: Tensor,
    styled: Tensor,
    *,
    verdicts: Tensor | None = None,
    features: tuple[FeatureMaps, FeatureMaps] | None = None,
    distance: Callable[[FeatureMaps, FeatureMaps], Tensor] = feature_distance,
) -> dict[str, Tensor]:
    """The generator's terms, unweighted: ``pixel`` and, as far as given, ``adversarial`` and ``perceptual``.

    Args:
        generated: (B, 3, H, W) in -1..1.
        styled: What should have been generated, alike.
        verdicts: The discriminator's on ``generated``, any shape.
        features: Maps of ``generated`` and of ``styled``.
        distance: Of the two sets of maps.
    """
    terms = {"pixel": pixel_loss(generated, styled)}
    if verdicts is not None:
        terms["adversarial"] = adversarial_loss(verdicts)
    if features is not None:
        terms["perceptual"] = distance(*features)
    return terms
