import copy

import torch

from dreaming.models.style_inference import fold_normalisation, whole_or_tiled
from dreaming.networks.style_generator import StyleGenerator


def generator():
    torch.manual_seed(0)
    made = StyleGenerator(filters=(4, 6, 8, 8, 7, 5), blocks=2).eval()
    for layer in made.modules():  # statistics and affine terms that change something
        if isinstance(layer, torch.nn.BatchNorm2d):
            for values in (layer.running_mean, layer.running_var, layer.bias.data, layer.weight.data):
                values.uniform_(0.5, 1.5)
    return made


def norms(network):
    return sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules())


def test_folding_takes_norms_away_and_changes_nothing():
    plain = generator()
    folded = copy.deepcopy(plain)
    fold_normalisation(folded)
    assert norms(plain) == 8
    assert norms(folded) == 1, "the one between the smoothers stands before a convolution"
    frame = torch.rand(1, 3, 22, 30) * 2 - 1
    torch.testing.assert_close(folded(frame), plain(frame), atol=1e-5, rtol=0)


def test_every_tile_begins_on_the_grid_and_sees_its_surroundings():
    made = generator()
    frame = torch.rand(1, 3, 61, 90) * 2 - 1
    found = whole_or_tiled(made, made, frame, tile=16, overlap=None)
    torch.testing.assert_close(found, made(frame), atol=1e-5, rtol=0)
    assert not torch.allclose(whole_or_tiled(made, made, frame, tile=16, overlap=0), made(frame), atol=1e-3)
