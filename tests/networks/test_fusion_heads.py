"""Fusion heads: initial outputs, what the gate can express, input sizes."""

import pytest
import torch

from dreaming.errors import ParameterError
from dreaming.networks.fusion_heads import (
    FRAME,
    ConvFusion,
    GatedFusion,
    MeanFusion,
    UNetFusion,
    VoteFusion,
    logits_of,
    steepness,
)


def head_input(*maps, gap=0.2, differences=None):
    """The input of a fusion head: flat grey with these maps (H, W)."""
    height, width = maps[0].shape
    differences = differences or [torch.zeros(height, width) for _ in maps]
    layers = [*torch.zeros(FRAME, height, width), *maps, *differences, torch.full((height, width), gap)]
    return torch.stack(layers)[None]


def flat(value, size=(6, 8)):
    return torch.full(size, value)


@pytest.mark.parametrize("kind", [MeanFusion, VoteFusion, ConvFusion, GatedFusion])
def test_agreeing_maskers_decide(kind):
    fused = kind(in_channels=10)(head_input(flat(0.9), flat(0.9), flat(0.9))).sigmoid()
    assert (fused > 0.85).all()


def test_mean_and_vote_differ_if_one_masker_is_confident():
    image = head_input(flat(0.99), flat(0.3), flat(0.3))
    assert torch.allclose(MeanFusion(in_channels=10)(image).sigmoid(), flat(0.53), atol=1e-5)
    assert (VoteFusion(in_channels=10)(image) < 0).all()


def test_a_tie_is_decided_by_the_mean():
    vote = VoteFusion(in_channels=8)
    assert (vote(head_input(flat(0.9), flat(0.4))) > 0).all()
    assert (vote(head_input(flat(0.6), flat(0.1))) < 0).all()


@pytest.mark.parametrize(
    "head", [ConvFusion(in_channels=8), ConvFusion(in_channels=8, kernel_size=5), GatedFusion(in_channels=8)]
)
def test_trained_heads_start_as_the_mean_of_logits(head):
    maps = torch.rand(2, 9, 13, generator=torch.Generator().manual_seed(0))
    expected = logits_of(maps).mean(dim=0)
    assert torch.allclose(head(head_input(*maps))[0, 0], expected, atol=1e-5)


def test_heads_start_with_the_prior_weights():
    maps = torch.rand(2, 9, 13, generator=torch.Generator().manual_seed(0))
    expected = (3 * logits_of(maps)[0] + logits_of(maps)[1]) / 4
    for head in (ConvFusion(in_channels=8, prior_weight=[6, 2]), GatedFusion(in_channels=8, prior_weight=[3, 1])):
        assert torch.allclose(head(head_input(*maps))[0, 0], expected, atol=1e-5)
        assert "initial_weights" not in head.state_dict()
    weighted = MeanFusion(in_channels=8, prior_weight=[3, 1])(head_input(*maps)).sigmoid()[0, 0]
    assert torch.allclose(weighted, ((3 * maps[0] + maps[1]) / 4).clamp(0.01, 0.99), atol=1e-5)


def test_the_gate_is_a_convex_combination_before_it_is_sharpened():
    head = GatedFusion(in_channels=8)
    with torch.no_grad():
        for weight in (head.bias, head.shared, head.own):
            weight.normal_(generator=torch.Generator().manual_seed(1))
    maps = torch.rand(2, 16, 24, generator=torch.Generator().manual_seed(0))
    fused, logits = head(head_input(*maps))[0, 0], logits_of(maps)
    assert (fused <= logits.max(dim=0).values + 1e-5).all()
    assert (fused >= logits.min(dim=0).values - 1e-5).all()


def test_the_gate_can_prefer_confident_maskers():
    head = GatedFusion(in_channels=8)
    with torch.no_grad():
        head.shared[0] = 20.0
    left = torch.where(torch.arange(8) < 4, 0.95, 0.55).expand(6, 8)
    right = torch.where(torch.arange(8) < 4, 0.45, 0.05).expand(6, 8)
    fused = head(head_input(left, right)).sigmoid()[0, 0]
    assert torch.allclose(fused[:, :4], flat(0.95, (6, 4)), atol=0.01)
    assert torch.allclose(fused[:, 4:], flat(0.05, (6, 4)), atol=0.01)


def test_the_gate_can_depend_on_the_distance_to_the_nearest_mask():
    head = GatedFusion(in_channels=8)
    with torch.no_grad():
        head.own[0, 1], head.own[1, 1] = -30.0, 30.0
        head.bias[0] = 15.0
    maps = flat(0.9), flat(0.1)
    assert (head(head_input(*maps, gap=0.0)) > 0).all()
    assert (head(head_input(*maps, gap=0.8)) < 0).all()


def test_the_gate_can_distrust_maskers_that_flicker():
    head = GatedFusion(in_channels=8)
    with torch.no_grad():
        head.shared[5] = -10.0
    maps = [flat(0.9, (16, 24)), flat(0.1, (16, 24))]
    assert (head(head_input(*maps, differences=[flat(0.0, (16, 24)), flat(0.5, (16, 24))])) > 1).all()
    assert (head(head_input(*maps, differences=[flat(0.5, (16, 24)), flat(0.0, (16, 24))])) < -1).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 17), (16, 16)])
@pytest.mark.parametrize("kind", [MeanFusion, VoteFusion, ConvFusion, GatedFusion])
def test_any_size_works(kind, size):
    assert kind(in_channels=8)(head_input(flat(0.2, size), flat(0.7, size))).shape == (1, 1, *size)


def test_the_unet_has_the_size_constraints_of_its_network():
    head = UNetFusion(in_channels=8, depth=2, width=2)
    assert (head.multiple, head.margin) == (4, 0)
    assert head(head_input(flat(0.2, (8, 12)), flat(0.7, (8, 12)))).shape == (1, 1, 8, 12)


def test_the_2021_unet_has_a_margin():
    head = UNetFusion(
        in_channels=8, depth=2, width=2, padding="none", norm="none", separable=True, positional_encoding="sin"
    )
    assert (head.margin, head.multiple, head.residue) == (20, 4, 0)
    size = (60, 64)
    assert head(head_input(flat(0.2, size), flat(0.7, size))).shape == (1, 1, 20, 24)


def test_steepness_is_the_sum_of_both_steps():
    ramp = torch.tensor([[[[0.0, 1.0], [2.0, 5.0]]]])
    assert torch.equal(steepness(ramp), torch.tensor([[[[3.0, 4.0], [3.0, 0.0]]]]))


@pytest.mark.parametrize(("head", "name"), [(ConvFusion, "kernel_size"), (GatedFusion, "window")])
def test_even_windows_raise(head, name):
    with pytest.raises(ParameterError) as error:
        head(in_channels=8, **{name: 4})
    assert (error.value.name, error.value.found) == (name, "4")
