"""A discriminator that classifies overlapping patches of an image (PatchGAN)."""

import itertools
from typing import ClassVar

from torch import Tensor, nn

from dreaming.constraints import Channels, NonNegativeInt, PositiveInt

LAYERS = 2


def min_side(layers: int = LAYERS) -> int:
    """Smallest height and width in pixels of images that a discriminator with this many strided layers trains on."""
    # Each layer halves the size. The convolution of stride 1 turns 3 pixels into 2; one pixel cannot be normalised.
    return 3 * 2**layers


class PatchDiscriminator(nn.Module):
    """4x4 convolutions with instance normalisation, as in Isola et al. 2017 (PatchGAN) and Texler et al. 2020.

    Args:
        channels: Channels of the images.
        filters: Channels of the first convolution. Each further one has twice as many, up to eight times the first.
        layers: Number of convolutions with stride 2; one with stride 1 and the output layer follow. With 2 layers the
            receptive field of an output is 34x34 pixels.
    """

    kind: ClassVar[str] = "patch_discriminator"

    def __init__(
        self,
        *,
        channels: Channels = 3,
        filters: PositiveInt = 12,
        layers: NonNegativeInt = LAYERS,
    ) -> None:
        super().__init__()
        widths = [channels, *(filters * min(2**layer, 8) for layer in range(layers + 1))]
        self.steps = nn.ModuleList()
        for index, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            stride = 2 if index < layers else 1
            # Instance normalisation removes the bias before it.
            convolution = nn.Conv2d(inputs, outputs, kernel_size=4, stride=stride, padding=1, bias=index == 0)
            norm = nn.InstanceNorm2d(outputs) if index > 0 else nn.Identity()
            self.steps.append(nn.Sequential(convolution, norm, nn.LeakyReLU(0.2)))
        self.predict = nn.Conv2d(widths[-1], 1, kernel_size=4, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Classify (B, channels, H, W) in -1..1, at least ``min_side(layers)`` pixels high and wide.

        Returns:
            The predictions (B, 1, h, w), near 1 where the image looks real, and the feature maps of all layers.
        """
        features: list[Tensor] = []
        current = image
        for step in self.steps:
            current = step(current)
            features.append(current)
        predictions: Tensor = self.predict(current)
        return predictions, features
