"""The convolutions segmenters are built of: full or depthwise separable, with every kind of border, and their norms."""

from typing import Literal, TypeAlias, get_args

from torch import nn

from dreaming.errors import ConfigError

Padding: TypeAlias = Literal["none", "zero", "reflection", "replication"]
Norm: TypeAlias = Literal["none", "batch", "group", "instance"]

# torch's names for the borders; without padding the mode is never looked at.
PADDING_MODES: dict[Padding, Literal["zeros", "reflect", "replicate"]] = {
    "none": "zeros",
    "zero": "zeros",
    "reflection": "reflect",
    "replication": "replicate",
}
GROUP_SIZE = 8


class DepthwiseSeparableConv(nn.Sequential):
    """Depthwise separable convolution: one k x k filter for each input channel, ReLU, then 1 x 1 across channels.

    Source: MobileNets (Howard et al. 2017), section 3.1, without its normalisation.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the filter in pixels, odd.
        padding: What stands beyond the border; with none the output is ``(kernel_size - 1) * dilation`` smaller.
        dilation: Pixels from one filter tap to the next.
        bias: Whether the 1 x 1 convolution adds one; of no use before a normalisation.
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
    """A full convolution, or a thin one.

    Raises:
        ConfigError: If the padding has no such name or the kernel has no centre.
    """
    if padding not in PADDING_MODES:
        raise _unknown("padding", padding, get_args(Padding))
    if kernel_size % 2 == 0:
        raise ConfigError(
            "kernel_size", found=str(kernel_size), expected="an odd number", hint="use a kernel that has a centre pixel"
        )
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
    """Pixels that one convolution without padding takes from each side."""
    return (kernel_size - 1) // 2 * dilation


def normalisation(norm: Norm, channels: int) -> nn.Module:
    """The normalisation of a feature map with this many channels.

    ``batch`` measures while training and is fixed afterwards, so that a tile gives what the whole frame gives;
    ``group`` and ``instance`` measure every picture anew and see another picture in a tile.

    Raises:
        ConfigError: If it has no such name.
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
    raise _unknown("norm", norm, get_args(Norm))


def _unknown(key: str, found: object, names: tuple[str, ...]) -> ConfigError:
    return ConfigError(key, found=repr(found), expected="one of " + ", ".join(names), hint="choose one of these")
