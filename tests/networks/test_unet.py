import pytest
import torch

from dreaming.models.tiling import fitting
from dreaming.networks.unet import UNet


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
def test_padded_variants_keep_the_size(norm):
    net = UNet(depth=2, width=8, norm=norm, padding="reflection")
    assert (net.margin, net.residue, net.multiple) == (0, 0, 4)
    logits = net(torch.randn(2, 3, 12, 16))
    assert logits.shape == (2, 1, 12, 16)
    assert logits.min() < 0 or logits.max() > 1 or norm == "none"


def test_channels_of_2021_are_multiples_of_powers_of_two():
    net = UNet(depth=3, width=5)
    assert [block.body[0].out_channels for block in net.down] == [5, 10, 20, 40]
    assert [block.body[0].in_channels for block in net.up] == [40, 20, 10]


def test_skip_connections_are_aligned():
    net = UNet(depth=2, width=8, padding="none", positional_encoding="none", norm="none").eval()
    image = torch.randn(1, 3, fitting(40, net), fitting(40, net))
    moved = net(image[..., 4:, 8:])
    torch.testing.assert_close(moved, net(image)[..., 4:, 8:], rtol=1e-4, atol=1e-5)
