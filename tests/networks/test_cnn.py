import pytest
import torch

from dreaming.networks.cnn import CNN
from dreaming.networks.position import coordinates


@pytest.mark.parametrize("padding", ["none", "zero", "reflection", "replication"])
@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("encoding", ["none", "linear", "sin"])
def test_the_margin_of_every_2021_variant(padding, separable, encoding):
    cnn = CNN(
        kernel_size=5,
        intermediate_channels=2,
        num_layers=3,
        separable=separable,
        positional_encoding=encoding,
        padding=padding,
        norm="none",
    )
    assert cnn.margin == (6 if padding == "none" else 0)
    assert cnn(torch.randn(2, 3, 21, 17)).shape == (2, 1, 21 - 2 * cnn.margin, 17 - 2 * cnn.margin)


def test_number_of_parameters():
    cnn = CNN(kernel_size=3, intermediate_channels=4, num_layers=2, positional_encoding="linear", norm="none")
    assert sum(p.numel() for p in cnn.parameters()) == (5 * 9 * 4 + 4) + (4 * 9 + 1)


def test_dilation_widens_the_receptive_field():
    cnn = CNN(kernel_size=3, num_layers=3, dilation=2, padding="none").eval()
    assert cnn.margin == 1 + 2 + 4
    image = torch.randn(1, 3, 15, 15, requires_grad=True)
    cnn(image)[0, 0, 0, 0].backward()
    field = image.grad[0].abs().sum(0).nonzero()
    assert field.min().item() == 0
    assert field.max().item() == 14


def test_features_and_coordinates_are_inputs():
    cnn = CNN(in_channels=5, padding="none").eval()
    image, positions = torch.randn(1, 5, 40, 40), coordinates((40, 40))
    crop = (slice(None), slice(None), slice(4, 34), slice(6, 36))
    inside = cnn(image[crop], positions[crop])
    torch.testing.assert_close(inside, cnn(image, positions)[..., 4:14, 6:16], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(inside, cnn(image[crop]))
