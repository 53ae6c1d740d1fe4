"""U-Net from a picture to logits (Ronneberger et al. 2015), with valid convolutions as in the paper or padded ones."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from dreaming.errors import ConfigError
from dreaming.networks.position import Encoding, Position, centre
from dreaming.networks.separable import Norm, Padding, convolution, normalisation

KERNEL = 3


class Block(nn.Module):
    """Two 3 x 3 convolutions, each with normalisation and ReLU, optionally around a shortcut.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        thin: Depthwise separable convolutions.
        padding: What stands beyond the border.
        norm: Normalisation after each convolution.
        residual: Add the input (by a 1 x 1 convolution where widths differ) to the output before the last ReLU.
        dropout: Share of channels dropped after the block while training.
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
        # A bias before a normalisation is taken away by it again.
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
    """Encoder and decoder with skips, ``depth`` times halved and doubled.

    The network of 2021 is ``depth=deepness, width=starting_multiplier, padding="none", norm="none"``: its channels
    m * 2^i are those of ``growth=2``.

    Attributes:
        margin: Pixels that the output lacks on each side.
        multiple: What the output's height and width divide by, after ``residue`` is taken off.
        residue: What they leave over.
        least: Pixels that the picture needs of height and width.

    Args:
        in_channels: Channels of the picture, position not counted.
        out_channels: Channels of logits.
        depth: How often the map is halved.
        width: Channels of the first level.
        growth: Each further level has that many times the channels.
        widths: Channels of each of the ``depth + 1`` levels, instead of ``width`` and ``growth``.
        thin: Depthwise separable convolutions instead of full ones.
        positional_encoding: ``none``, ``linear`` or ``sin``.
        octaves: Wavelengths of the ``sin`` encoding.
        padding: What stands beyond the border; with ``none`` the output is smaller than the input.
        norm: Normalisation after every convolution.
        residual: Shortcuts around each pair of convolutions.
        dropout: Share of channels dropped at the two lowest levels while training.
        upsampling: ``transposed``: a learnt 2 x 2 transposed convolution; ``bilinear``: enlarged, then 1 x 1.

    Raises:
        ConfigError: If ``widths`` does not fit ``depth``, or a name is unknown.
    """

    kind: ClassVar[str] = "u_net"

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 1,
        depth: int = 4,
        width: int = 16,
        growth: float = 2.0,
        widths: Sequence[int] | None = None,
        separable: bool = False,
        positional_encoding: Encoding = "linear",
        octaves: int = 1,
        padding: Padding = "zero",
        norm: Norm = "batch",
        residual: bool = False,
        dropout: float = 0.0,
        upsampling: Literal["transposed", "bilinear"] = "transposed",
    ) -> None:
        super().__init__()
        levels = list(widths) if widths else [round(width * growth**level) for level in range(depth + 1)]
        if len(levels) != depth + 1:
            raise ConfigError(
                "widths",
                found=f"{len(levels)} widths",
                expected=f"{depth + 1} for a depth of {depth}",
                hint="give one for each level, the lowest included",
            )
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
        # Two valid convolutions take 4 pixels of every level on the way down and on the way up:
        # input - output = 4 (2^(depth + 1) - 1) + 4 (2^depth - 1).
        self.margin = 6 * self.multiple - 4 if padding == "none" else 0
        self.residue = 4 % self.multiple if padding == "none" else 0
        # Of the lowest map something is left, and with reflection a pixel beside the one that is mirrored there.
        self.min_size = (
            2 * self.multiple if padding == "reflection" else 2 * self.margin + (self.residue or self.multiple)
        )

    def forward(self, image: Tensor, places: Tensor | None = None) -> Tensor:
        """Logits (B, out_channels, H - 2 margin, W - 2 margin) of a normalised picture (B, in_channels, H, W).

        Args:
            image: The picture or crop; its size less both margins leaves ``residue`` when divided by ``multiple``.
            places: Its ``coordinates`` (1 or B, 2, H, W); by default it is a whole frame.
        """
        features = self.position(image, places)
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


def enlarge(in_channels: int, out_channels: int, upsampling: str) -> nn.Module:
    """A layer that doubles height and width.

    Raises:
        ConfigError: If the way to do it has no such name.
    """
    if upsampling == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
    if upsampling == "bilinear":
        # Across channels first: the cheaper order, and the same result, as both are linear.
        return nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        )
    raise ConfigError(
        "upsampling", found=repr(upsampling), expected="transposed or bilinear", hint="choose one of these"
    )
