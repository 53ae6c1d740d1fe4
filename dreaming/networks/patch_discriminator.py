"""A discriminator that judges overlapping patches of an image, not the image as a whole."""

import itertools
from typing import ClassVar

from torch import Tensor, nn

from dreaming.errors import ConfigError

LAYERS = 2


def min_side(layers: int = LAYERS) -> int:
    """Pixels that a discriminator of so many layers needs of an image's sides to learn from it."""
    # Halved each time; of 3 pixels the convolution of stride 1 leaves 2, and a single one cannot be normalised.
    return 3 * 2**layers


class PatchDiscriminator(nn.Module):
    """Convolutions 4x4 with instance normalisation, as in Isola et al. 2017 (PatchGAN) and Texler et al. 2020.

    Args:
        channels: Of the images judged.
        filters: Of the first convolution; doubled by each further one, up to eight times.
        layers: Convolutions with stride 2; one of stride 1 and the judging one follow. With 2 layers a verdict sees
            34x34 pixels.
        slope: Of the LeakyReLU below zero.

    Raises:
        ConfigError: If it would have no filters, or fewer than no layers.
    """

    kind: ClassVar[str] = "patch_discriminator"

    def __init__(self, *, channels: int = 3, filters: int = 12, layers: int = LAYERS, slope: float = 0.2) -> None:
        super().__init__()
        for key, value, least in (("filters", filters, 1), ("layers", layers, 0)):
            if value < least:
                where = f"model.style.module.discriminator.{key}"
                raise ConfigError(where, found=str(value), expected=f"{least} or more", hint="correct it")
        widths = [channels, *(filters * min(2**layer, 8) for layer in range(layers + 1))]
        self.steps = nn.ModuleList()
        for place, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            stride = 2 if place < layers else 1
            # No bias before instance normalisation, which would subtract it again.
            convolution = nn.Conv2d(inputs, outputs, kernel_size=4, stride=stride, padding=1, bias=place == 0)
            norm = nn.InstanceNorm2d(outputs) if place > 0 else nn.Identity()
            self.steps.append(nn.Sequential(convolution, norm, nn.LeakyReLU(slope)))
        self.judge = nn.Conv2d(widths[-1], 1, kernel_size=4, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Judge (B, channels, H, W) in -1..1, at least ``least_side`` pixels high and wide.

        Returns:
            The verdicts (B, 1, h, w), near 1 where the image looks genuine, and the feature maps they were drawn from,
            first to last.
        """
        features: list[Tensor] = []
        current = image
        for step in self.steps:
            current = step(current)
            features.append(current)
        verdicts: Tensor = self.judge(current)
        return verdicts, features
