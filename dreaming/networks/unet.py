"""U-Net from an image to logits (Ronneberger et al. 2015), with valid or padded convolutions."""

from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from dreaming.constraints import PositiveFloat, PositiveInt, UnitFloat
from dreaming.errors import ParameterError
from dreaming.networks.position import Encoding, Position, centre
from dreaming.networks.separable import Norm, Padding, convolution, normalisation

Upsampling: TypeAlias = Literal["transposed", "bilinear"]

KERNEL = 3


class Block(nn.Module):
    """Two 3 x 3 convolutions, each with normalisation and ReLU, optionally around a shortcut.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        separable: Use depthwise separable convolutions.
        padding: Padding at the border.
        norm: Normalisation after each convolution.
        residual: Add the input to the output before the last ReLU, through a 1 x 1 convolution if the widths differ.
        dropout: Share of channels dropped after the block in training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        separable: bool,
        padding: Padding,
        norm: Norm,
        residual: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        # A normalisation removes the bias before it.
        bias = norm == "none"
        self.body = nn.Sequential(
            convolution(in_channels, out_channels, KERNEL, padding, separable=separable, bias=bias),
            normalisation(norm, out_channels),
            nn.ReLU(inplace=True),
            convolution(out_channels, out_channels, KERNEL, padding, separable=separable, bias=bias),
            normalisation(norm, out_channels),
        )
        self.shortcut: nn.Module | None = None
        if residual:
            same = in_channels == out_channels
            self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)
        self.end = nn.Sequential(nn.ReLU(inplace=True), nn.Dropout2d(dropout) if dropout else nn.Identity())

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, out_channels, H, W), or 4 pixels smaller without padding."""
        out = self.body(features)
        if self.shortcut is not None:
            out = out + centre(self.shortcut(features), out)
        ended: Tensor = self.end(out)
        return ended


class UNet(nn.Module):
    """Encoder and decoder with skip connections on ``depth + 1`` levels.

    The 2021 network is ``depth=deepness, width=starting_multiplier, padding="none", norm="none"``; its channels
    m * 2^i correspond to ``growth=2``.

    Attributes:
        margin: Pixels by which the output is smaller than the input on each side.
        multiple: The output's height and width are multiples of this, plus ``residue``.
        residue: See ``multiple``.
        min_size: Smallest height and width of an image in pixels.

    Args:
        in_channels: Channels of the image, without the positional encoding.
        out_channels: Channels of logits.
        depth: Number of times that the resolution is halved.
        width: Channels of the first level.
        growth: Factor of the number of channels from level to level.
        widths: Channels of each of the ``depth + 1`` levels, instead of ``width`` and ``growth``.
        separable: Use depthwise separable convolutions.
        positional_encoding: Encoding of each pixel's coordinates.
        octaves: Number of wavelengths of the ``sin`` encoding.
        padding: Padding at the border; with ``none`` the output is smaller than the input.
        norm: Normalisation after every convolution.
        residual: Residual connections around each pair of convolutions.
        dropout: Share of channels dropped at the two lowest levels in training.
        upsampling: ``transposed``: 2 x 2 transposed convolution; ``bilinear``: 1 x 1 convolution and interpolation.

    Raises:
        ParameterError: If ``widths`` does not have ``depth + 1`` entries.
    """

    kind: ClassVar[str] = "u_net"

    def __init__(
        self,
        *,
        in_channels: PositiveInt = 3,
        out_channels: PositiveInt = 1,
        depth: PositiveInt = 4,
        width: PositiveInt = 16,
        growth: PositiveFloat = 2.0,
        widths: Sequence[PositiveInt] | None = None,
        separable: bool = False,
        positional_encoding: Encoding = "linear",
        octaves: PositiveInt = 1,
        padding: Padding = "zero",
        norm: Norm = "batch",
        residual: bool = False,
        dropout: UnitFloat = 0.0,
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        levels = list(widths) if widths else [round(width * growth**level) for level in range(depth + 1)]
        if len(levels) != depth + 1:
            raise ParameterError("widths", found=list(levels), expected=f"{depth + 1} widths, because depth is {depth}")
        self.position = Position(positional_encoding, octaves)

        def block(before: int, after: int, level: int) -> Block:
            return Block(before, after, separable, padding, norm, residual, dropout if level >= depth - 1 else 0.0)

        before = [in_channels + self.position.channels, *levels]
        self.down = nn.ModuleList(block(before[level], levels[level], level) for level in range(depth + 1))
        self.shrink = nn.MaxPool2d(2)
        self.enlarge = nn.ModuleList(
            enlarge(levels[level + 1], levels[level], upsampling) for level in reversed(range(depth))
        )
        self.up = nn.ModuleList(block(2 * levels[level], levels[level], level) for level in reversed(range(depth)))
        self.head = nn.Conv2d(levels[0], out_channels, 1)
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

        Args:
            image: The frame or crop; its size without both margins is a multiple of ``multiple`` plus ``residue``.
            positions: Its ``coordinates`` (1 or B, 2, H, W); None: those of a whole frame.
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


def enlarge(in_channels: int, out_channels: int, upsampling: Upsampling) -> nn.Module:
    """Make a layer that doubles height and width."""
    if upsampling == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
    # Both layers are linear, so their order does not change the result; this one is cheaper.
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    )
