"""Convolutions and normalisations of the segmentation networks: full or depthwise separable, with any padding."""

from typing import Literal, TypeAlias, assert_never

from torch import nn

from dreaming.errors import ParameterError

Padding: TypeAlias = Literal["none", "zero", "reflection", "replication"]
Norm: TypeAlias = Literal["none", "batch", "group", "instance"]

# torch's names of the padding modes; without padding the mode has no effect.
PADDING_MODES: dict[Padding, Literal["zeros", "reflect", "replicate"]] = {
    "none": "zeros",
    "zero": "zeros",
    "reflection": "reflect",
    "replication": "replicate",
}
GROUP_SIZE = 8


class DepthwiseSeparableConv(nn.Sequential):
    """Depthwise separable convolution: one k x k filter per input channel, ReLU, then a 1 x 1 convolution.

    Source: MobileNets (Howard et al. 2017), section 3.1, without its normalisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        padding: Padding = "zero",
        dilation: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(
            _full(in_channels, in_channels, kernel_size, padding, dilation, bias=True, groups=in_channels),
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, 1, bias=bias),
        )


def convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    padding: Padding = "zero",
    *,
    dilation: int = 1,
    separable: bool = False,
    bias: bool = True,
) -> nn.Module:
    """Make a convolution of (B, in_channels, H, W) to (B, out_channels, H', W'), where H' = H unless padding is none.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Taps per side, odd.
        padding: Values beyond the border; none: none, so that the output is smaller.
        dilation: Distance between neighbouring taps in pixels.
        separable: Whether it is depthwise separable instead of full.
        bias: Whether a bias is added.

    Raises:
        ParameterError: If ``kernel_size`` is even.
    """
    if kernel_size % 2 == 0:
        raise ParameterError("kernel_size", found=kernel_size, expected="an odd number")
    if separable:
        return DepthwiseSeparableConv(in_channels, out_channels, kernel_size, padding, dilation, bias)
    return _full(in_channels, out_channels, kernel_size, padding, dilation, bias)


def _full(
    in_channels: int, out_channels: int, kernel_size: int, padding: Padding, dilation: int, bias: bool, groups: int = 1
) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        padding=0 if padding == "none" else lost(kernel_size, dilation),
        padding_mode=PADDING_MODES[padding],
        dilation=dilation,
        groups=groups,
        bias=bias,
    )


def lost(kernel_size: int, dilation: int = 1) -> int:
    """Pixels that a convolution without padding removes on each side."""
    return (kernel_size - 1) // 2 * dilation


def normalisation(norm: Norm, channels: int) -> nn.Module:
    """Make the normalisation of a feature map.

    ``batch`` uses fixed statistics after training, so tiles equal whole frames. ``group`` and ``instance`` compute
    statistics of each image, which differ between a tile and its frame.
    """
    if norm == "none":
        return nn.Identity()
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        groups = max(count for count in range(1, max(1, channels // GROUP_SIZE) + 1) if channels % count == 0)
        return nn.GroupNorm(groups, channels)
    if norm == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    assert_never(norm)
