import pytest
import torch
import torch.nn.functional as F

from dreaming.networks.patch_discriminator import PatchDiscriminator, min_side


def test_shapes_of_the_original():
    predictions, features = PatchDiscriminator()(torch.rand(2, 3, 32, 32))
    assert predictions.shape == (2, 1, 6, 6)
    assert [tuple(f.shape) for f in features] == [(2, 12, 16, 16), (2, 24, 8, 8), (2, 48, 7, 7)]


def test_forward_equals_the_network_written_out():
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(filters=4)
    image = torch.rand(2, 3, 20, 24)
    state = discriminator.state_dict()
    x = F.leaky_relu(F.conv2d(image, state["steps.0.0.weight"], state["steps.0.0.bias"], 2, 1), 0.2)
    for index, stride in ((1, 2), (2, 1)):
        x = F.conv2d(x, state[f"steps.{index}.0.weight"], None, stride, 1)
        x = F.leaky_relu(F.instance_norm(x), 0.2)
    expected = F.conv2d(x, state["predict.weight"], state["predict.bias"], 1, 1)
    torch.testing.assert_close(discriminator(image)[0], expected)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_widths_double_up_to_eight_times(layers):
    _, features = PatchDiscriminator(filters=2, layers=layers)(torch.rand(1, 3, 64, 64))
    assert [f.shape[1] for f in features] == [2, 4, 8, 16, 16][: layers + 1]


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_the_smallest_side_that_can_be_trained_on(layers):
    discriminator, side = PatchDiscriminator(filters=2, layers=layers), min_side(layers)
    discriminator(torch.rand(1, 3, side, side))
    with pytest.raises(ValueError):  # noqa: PT011  # torch's own
        discriminator(torch.rand(1, 3, side - 1, side - 1))


def test_the_receptive_field_is_34_pixels():
    discriminator = PatchDiscriminator()
    # Instance normalisation connects all pixels; this test measures the convolutions.
    for step in discriminator.steps:
        step[1] = torch.nn.Identity()
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    discriminator(image)[0][0, 0, 7, 7].backward()
    seen = image.grad.abs().sum((0, 1, 2)).nonzero()[:, 0]
    assert int(seen.max() - seen.min()) + 1 == 34
