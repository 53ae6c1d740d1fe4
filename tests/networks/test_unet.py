import pytest
import torch
from torch import nn

from dreaming.errors import ParameterError
from dreaming.models.tiling import fitting
from dreaming.networks.unet import Block, UNet


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("encoding", ["none", "linear", "sin"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_margin_of_valid_convolutions(depth, separable, encoding):
    net = UNet(depth=depth, width=3, separable=separable, positional_encoding=encoding, padding="none", norm="none")
    size = fitting(9, net), fitting(12, net)
    out = net(torch.randn(1, 3, *size))
    assert out.shape == (1, 1, size[0] - 2 * net.margin, size[1] - 2 * net.margin)
    assert 9 <= out.shape[2] < 9 + net.multiple


def test_sizes_of_the_paper_and_of_2021():
    paper = UNet(depth=4, width=2, padding="none")
    assert fitting(388, paper) == 572
    assert 572 - 2 * paper.margin == 388
    old = UNet(depth=3, width=3, padding="none", norm="none")
    assert (fitting(720, old), fitting(1280, old)) == (812, 1372)


@pytest.mark.parametrize("norm", ["none", "batch", "group", "instance"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_padded_variants_keep_the_size(norm, residual, upsampling):
    net = UNet(depth=2, width=8, norm=norm, residual=residual, upsampling=upsampling, dropout=0.2, padding="reflection")
    assert (net.margin, net.residue, net.multiple) == (0, 0, 4)
    logits = net(torch.randn(2, 3, 12, 16))
    assert logits.shape == (2, 1, 12, 16)
    assert logits.min() < 0 or logits.max() > 1 or norm == "none"


def test_channels_of_2021_are_multiples_of_powers_of_two():
    net = UNet(depth=3, width=5)
    assert [block.body[0].out_channels for block in net.down] == [5, 10, 20, 40]
    net = UNet(depth=2, widths=[4, 6, 7])
    assert [block.body[0].out_channels for block in net.down] == [4, 6, 7]
    assert [block.body[0].in_channels for block in net.up] == [12, 8]


def test_a_residual_block_adds_its_input():
    block = Block(4, 4, separable=False, padding="none", norm="none", residual=True, dropout=0.0)
    for layer in block.body:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    features = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(block(features), features[..., 2:-2, 2:-2].relu())


def test_skip_connections_are_aligned():
    net = UNet(depth=2, width=8, padding="none", positional_encoding="none", norm="none").eval()
    image = torch.randn(1, 3, fitting(40, net), fitting(40, net))
    moved = net(image[..., 4:, 8:])
    torch.testing.assert_close(moved, net(image)[..., 4:, 8:], rtol=1e-4, atol=1e-5)


def test_a_wrong_number_of_widths_raises():
    with pytest.raises(ParameterError) as error:
        UNet(depth=3, widths=[4, 8])
    assert (error.value.name, error.value.found) == ("widths", "[4, 8]")
