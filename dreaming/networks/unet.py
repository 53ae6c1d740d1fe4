"""U-Net from an image to logits (Ronneberger et al. 2015), with valid or padded convolutions."""

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from dreaming.constraints import Channels, Depth
from dreaming.networks.position import Encoding, Position, centre
from dreaming.networks.separable import Norm, Padding, convolution, normalisation

KERNEL = 3


class Block(nn.Module):
    """Two 3 x 3 convolutions, each with normalisation and ReLU; without padding 4 pixels are lost."""

    def __init__(self, in_channels: int, out_channels: int, separable: bool, padding: Padding, norm: Norm) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (in_channels, out_channels):
            # A normalisation removes the bias before it.
            layers += [
                convolution(before, out_channels, KERNEL, padding, separable=separable, bias=norm == "none"),
                normalisation(norm, out_channels),
                nn.ReLU(inplace=True),
            ]
        self.body = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, out_channels, H, W)."""
        out: Tensor = self.body(features)
        return out


class UNet(nn.Module):
    """Encoder and decoder with skip connections on ``depth + 1`` levels, each with twice the channels of the last.

    The 2021 network is ``depth=deepness, width=starting_multiplier, padding="none", norm="none"``. It has the
    attributes of ``models.tiling.SizeConstraints``.

    Args:
        in_channels: Channels of the image, without the positional encoding.
        out_channels: Channels of logits.
        depth: Number of times that the resolution is halved.
        width: Channels of the first level.
        separable: Use depthwise separable convolutions.
        positional_encoding: Encoding of each pixel's coordinates.
        padding: Padding at the border; with ``none`` the output is smaller than the input.
        norm: Normalisation after every convolution.
    """

    kind: ClassVar[str] = "u_net"

    def __init__(
        self,
        *,
        in_channels: Channels = 3,
        out_channels: Channels = 1,
        depth: Depth = 4,
        width: Channels = 16,
        separable: bool = False,
        positional_encoding: Encoding = "linear",
        padding: Padding = "zero",
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.position = Position(positional_encoding)
        levels = [width * 2**level for level in range(depth + 1)]
        steps = list(pairwise([in_channels + self.position.channels, *levels]))
        back = [(wide, narrow) for narrow, wide in reversed(steps[1:])]
        self.down = nn.ModuleList(Block(before, after, separable, padding, norm) for before, after in steps)
        self.shrink = nn.MaxPool2d(2)
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(wide, narrow, 2, stride=2) for wide, narrow in back)
        self.up = nn.ModuleList(Block(wide, narrow, separable, padding, norm) for wide, narrow in back)
        self.head = nn.Conv2d(width, out_channels, 1)
        self.multiple = 2**depth
        # Two valid convolutions remove 4 pixels at each level of the encoder and of the decoder:
        # input - output = 4 (2^(depth + 1) - 1) + 4 (2^depth - 1).
        self.margin = 6 * self.multiple - 4 if padding == "none" else 0
        self.residue = 4 % self.multiple if padding == "none" else 0
        # The lowest level needs a pixel, and with reflection padding a second one to reflect.
        self.min_size = (
            2 * self.multiple if padding == "reflection" else 2 * self.margin + (self.residue or self.multiple)
        )

    def forward(self, image: Tensor, positions: Tensor | None = None) -> Tensor:
        """Logits (B, out_channels, H - 2 margin, W - 2 margin) of a normalised image (B, in_channels, H, W).

        The image's size without both margins is a multiple of ``multiple`` plus ``residue``. ``positions`` are its
        ``coordinates`` (1 or B, 2, H, W); None: those of a whole frame.
        """
        features = self.position(image, positions)
        skips: list[Tensor] = []
        for level, down in enumerate(self.down):
            features = down(self.shrink(features) if level else features)
            skips.append(features)
        skips.pop()
        for larger, up in zip(self.enlarge, self.up, strict=True):
            features = larger(features)
            features = up(torch.cat([centre(skips.pop(), features), features], dim=1))
        logits: Tensor = self.head(features)
        return logits
