import pytest
import torch
import torch.nn.functional as F

from dreaming.errors import ParameterError
from dreaming.networks.style_generator import StyleGenerator


@pytest.fixture
def generator():
    torch.manual_seed(0)
    small = StyleGenerator(channels=5, filters=(4, 6, 8, 8, 7, 5), blocks=2)
    for layer in small.modules():  # statistics and affine terms with an effect
        if isinstance(layer, torch.nn.BatchNorm2d):
            for values in (layer.running_mean, layer.bias.data, layer.weight.data):
                values.uniform_(0.5, 1.5)
    return small.eval()


def reference(state, x, blocks):
    """The forward pass of Texler et al. 2020 in functional form, for sizes that are multiples of four."""

    def conv(x, name, stride=1):
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state.get(f"{name}.bias"), stride, padding=weight.shape[-1] // 2)

    def norm(x, name):
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{name}.{key}"] for key in names))

    def twice(x):
        return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    f0 = F.leaky_relu(norm(conv(x, "encode_full.0"), "encode_full.1"), 0.2)
    f1 = F.leaky_relu(norm(conv(f0, "encode_half.0", 2), "encode_half.1"), 0.2)
    f2 = F.leaky_relu(norm(conv(f1, "encode_quarter.0", 2), "encode_quarter.1"), 0.2)
    deep = f2
    for block in range(blocks):
        name = f"blocks.{block}.change"
        hidden = F.relu(norm(conv(F.relu(deep), f"{name}.1"), f"{name}.2"))
        deep = deep + conv(hidden, f"{name}.4")
    up = F.relu(norm(conv(twice(torch.cat((deep, f2), 1)), "decode_half.0"), "decode_half.1"))
    up = F.relu(norm(conv(twice(torch.cat((up, f1), 1)), "decode_full.0"), "decode_full.1"))
    up = F.relu(conv(torch.cat((up, f0, x), 1), "merge.0"))
    up = F.relu(conv(norm(F.relu(conv(up, "smooth.0")), "smooth.2"), "smooth.3"))
    return torch.tanh(conv(up, "colour.0"))


def test_forward_equals_the_reference(generator):
    frame = torch.rand(2, 5, 16, 24) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(generator(frame), reference(generator.state_dict(), frame, blocks=2))


def test_the_original_number_of_parameters():
    filters = (32, 64, 128, 128, 128, 64)
    f0, f1, f2, _, f4, f5 = filters
    encoder = 49 * 3 * f0 + 9 * f0 * f1 + 9 * f1 * f2 + 2 * (f0 + f1 + f2)
    blocks = 7 * (2 * 9 * f2 * f2 + 2 * f2 + f2)
    decoder = 9 * 2 * f2 * f4 + 9 * (f4 + f1) * f4 + 4 * f4
    end = 49 * (f4 + f0 + 3) * f5 + f5 + 2 * (9 * f5 * f5 + f5) + 2 * f5 + 3 * f5 + 3
    assert sum(p.numel() for p in StyleGenerator().parameters()) == encoder + blocks + decoder + end


def test_each_convolution_runs_once(generator):
    calls = []
    for layer in generator.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda layer, *_: calls.append(id(layer)))
    generator(torch.zeros(1, 5, 8, 8))
    assert len(calls) == len(set(calls)) == 3 + 2 * 2 + 2 + 1 + 2 + 1


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 18), (33, 31)])
def test_output_has_the_size_of_the_input(generator, size):
    with torch.no_grad():
        found = generator(torch.rand(1, 5, *size))
    assert found.shape == (1, 3, *size)
    assert found.abs().max() <= 1


def test_odd_sizes_equal_even_ones_far_from_the_edge(generator):
    frame = torch.rand(1, 5, 96, 96)
    with torch.no_grad():
        whole, cut = generator(frame), generator(frame[..., :91, :93])
    keep = 90 - generator.margin
    torch.testing.assert_close(cut[..., :keep, :keep], whole[..., :keep, :keep])
    assert not torch.allclose(cut, whole[..., :91, :93])


@pytest.mark.parametrize("blocks", [0, 2])
def test_the_margin_is_the_radius_of_the_receptive_field(blocks):
    generator = StyleGenerator(filters=(2, 2, 2, 2, 2, 2), blocks=blocks).double().eval()
    for weight in generator.parameters():  # positive weights, so that no gradient is zero by chance
        weight.data = weight.data.abs() * 0.1 + 0.01
    radius = 0
    for phase in range(generator.multiple):
        frame = torch.full((1, 3, 8, 160), 0.01, dtype=torch.double, requires_grad=True)
        generator(frame)[0, 0, 4, 80 + phase].backward()
        field = frame.grad[0].abs().sum((0, 1)).nonzero()[:, 0]
        radius = max(radius, 80 + phase - int(field.min()), int(field.max()) - 80 - phase)
    assert radius == generator.margin


@pytest.mark.parametrize("filters", [[8, 8, 8], [8, 8, 8, 4, 8, 8]])
def test_wrong_filters_raise(filters):
    with pytest.raises(ParameterError) as error:
        StyleGenerator(filters=filters)
    assert (error.value.name, error.value.found) == ("filters", str(filters))
