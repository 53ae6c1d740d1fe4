"""The generator of few-shot patch-based training: encoder, residual blocks, decoder with skip connections."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from dreaming.constraints import Channels, NonNegativeInt, PositiveInt
from dreaming.errors import ParameterError


def _encode(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    # Batch normalisation removes the bias before it.
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2),
    )


def _decode(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _double(image: Tensor, like: Tensor) -> Tensor:
    """Upsample by two and crop to the size of ``like``, because a stride of two rounds odd sizes up."""
    doubled = functional.interpolate(image, scale_factor=2, mode="nearest")
    return doubled[..., : like.shape[-2], : like.shape[-1]]


class ResidualBlock(nn.Module):
    """``x + conv(relu(norm(conv(relu(x)))))`` with 3x3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        changed: Tensor = self.change(features)
        return features + changed


class StyleGenerator(nn.Module):
    """Stylise frames of any size.

    Source: Texler et al. 2020, "Interactive Video Stylization Using Few-Shot Patch-Based Training". It differs from
    their code in two points: the second strided convolution runs once and feeds both the blocks and the skip
    connection, and odd sizes work.

    Args:
        channels: Input channels: 3 for RGB plus those of the guides.
        painted: First of each three input channels that show a painting; no effect here.
        filters: Channels of the three encoder convolutions, the residual blocks (same as the third), both decoder steps
            and the last 7x7 convolution.
        blocks: Number of residual blocks.

    Attributes:
        multiple: Sampling grid in pixels: tiles that start on it see the same grid as the whole frame.

    Raises:
        ParameterError: If ``filters`` does not have six entries, or the fourth differs from the third.
    """

    kind: ClassVar[str] = "style_generator"

    multiple = 4

    def __init__(
        self,
        *,
        channels: Channels = 3,
        painted: Sequence[int] = (),
        filters: Sequence[PositiveInt] = (32, 64, 128, 128, 128, 64),
        blocks: NonNegativeInt = 7,
    ) -> None:
        super().__init__()
        if len(filters) != 6 or filters[2] != filters[3]:
            raise ParameterError("filters", found=list(filters), expected="six numbers, the fourth equal to the third")
        full, half, quarter, _, rising, last = filters
        self.encode_full = _encode(channels, full, 7, 1)
        self.encode_half = _encode(full, half, 3, 2)
        self.encode_quarter = _encode(half, quarter, 3, 2)
        self.blocks = nn.Sequential(*(ResidualBlock(quarter) for _ in range(blocks)))
        self.decode_half = _decode(2 * quarter, rising)
        self.decode_full = _decode(rising + half, rising)
        self.merge = nn.Sequential(nn.Conv2d(rising + full + channels, last, kernel_size=7, padding=3), nn.ReLU())
        self.smooth = nn.Sequential(
            nn.Conv2d(last, last, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(last),
            nn.Conv2d(last, last, kernel_size=3, padding=1),
            nn.ReLU(),
        )
        self.colour = nn.Sequential(nn.Conv2d(last, 3, kernel_size=1), nn.Tanh())

    @property
    def margin(self) -> int:
        """Radius of the receptive field in pixels."""
        encoder = 3 + 1 + 2  # the second strided convolution has a stride of two pixels at full resolution
        blocks = 2 * 4 * len(self.blocks)
        decoder = 2 + 1 + 3  # 3: nearest-neighbour upsampling reads up to 2 + 1 pixels before the pixel
        return encoder + blocks + decoder + 3 + 2

    def forward(self, frame: Tensor) -> Tensor:
        """Map (B, channels, H, W) in -1..1 to (B, 3, H, W) in -1..1."""
        full = self.encode_full(frame)  # (B, f0, H, W)
        half = self.encode_half(full)  # (B, f1, H/2, W/2), rounded up
        quarter = self.encode_quarter(half)  # (B, f2, H/4, W/4), rounded up
        deep = self.blocks(quarter)
        rising = self.decode_half(_double(torch.cat((deep, quarter), dim=1), like=half))
        rising = self.decode_full(_double(torch.cat((rising, half), dim=1), like=full))
        merged = self.merge(torch.cat((rising, full, frame), dim=1))
        image: Tensor = self.colour(self.smooth(merged))
        return image
