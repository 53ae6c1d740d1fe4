import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dreaming.errors import ParameterError
from dreaming.networks.separable import DepthwiseSeparableConv, convolution, lost, normalisation


def test_a_separable_convolution_is_one_filter_per_channel_then_1_x_1():
    torch.manual_seed(0)
    separable = DepthwiseSeparableConv(3, 5, 3, "zero")
    image = torch.randn(2, 3, 7, 6)
    depth, mix = separable[0], separable[2]
    slow = torch.cat(
        [F.conv2d(image[:, c : c + 1], depth.weight[c : c + 1], depth.bias[c : c + 1], padding=1) for c in range(3)], 1
    )
    expected = torch.einsum("oc,bchw->bohw", mix.weight[:, :, 0, 0], slow.relu()) + mix.bias[:, None, None]
    torch.testing.assert_close(separable(image), expected)
    assert sum(p.numel() for p in separable.parameters()) == 3 * 9 + 3 + 3 * 5 + 5


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize(("padding", "dilation", "expected"), [("zero", 2, 12), ("none", 1, 8), ("none", 2, 4)])
def test_sizes(separable, padding, dilation, expected):
    layer = convolution(3, 4, 5, padding, dilation=dilation, separable=separable)
    assert layer(torch.zeros(1, 3, 12, 12)).shape == (1, 4, expected, expected)
    if padding == "none":
        assert 12 - 2 * lost(5, dilation) == expected


@pytest.mark.parametrize(
    ("padding", "mode"), [("zero", "constant"), ("reflection", "reflect"), ("replication", "replicate")]
)
def test_padding_modes(padding, mode):
    layer = convolution(2, 3, 3, padding)
    image = torch.randn(1, 2, 6, 6)
    expected = F.conv2d(F.pad(image, (1, 1, 1, 1), mode=mode), layer.weight, layer.bias)
    torch.testing.assert_close(layer(image), expected)


def test_group_norm_has_groups_that_divide_the_channels():
    assert normalisation("group", 24).num_groups == 3
    assert normalisation("group", 20).num_groups == 2
    assert normalisation("group", 7).num_groups == 1
    assert isinstance(normalisation("none", 4), nn.Identity)


def test_even_kernels_raise():
    with pytest.raises(ParameterError) as error:
        convolution(1, 1, 4)
    assert (error.value.name, error.value.found) == ("kernel_size", "4")


def test_unknown_normalisations_do_not_fall_through():
    with pytest.raises(AssertionError):
        normalisation("layer", 4)
