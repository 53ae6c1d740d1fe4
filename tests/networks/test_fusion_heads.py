"""Mixers: what they begin as, what they can tell apart, and that any size will do."""

import pytest
import torch

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


def picture(*maps, gap=0.2, unsteady=None):
    """A mixer's picture of flat grey with these maps (H, W)."""
    height, width = maps[0].shape
    unsteady = unsteady or [torch.zeros(height, width) for _ in maps]
    layers = [*torch.zeros(FRAME, height, width), *maps, *unsteady, torch.full((height, width), gap)]
    return torch.stack(layers)[None]


def flat(value, size=(6, 8)):
    return torch.full(size, value)


@pytest.mark.parametrize("kind", [MeanFusion, VoteFusion, ConvFusion, GatedFusion])
def test_maskers_that_agree_are_agreed_with(kind):
    mixed = kind(in_channels=10)(picture(flat(0.9), flat(0.9), flat(0.9))).sigmoid()
    assert (mixed > 0.85).all()


def test_mean_and_vote_differ_where_one_is_loud():
    image = picture(flat(0.99), flat(0.3), flat(0.3))
    assert torch.allclose(MeanFusion(in_channels=10)(image).sigmoid(), flat(0.53), atol=1e-5)
    assert (VoteFusion(in_channels=10)(image) < 0).all()


def test_a_tie_is_decided_by_the_mean():
    vote = VoteFusion(in_channels=8)
    assert (vote(picture(flat(0.9), flat(0.4))) > 0).all()
    assert (vote(picture(flat(0.6), flat(0.1))) < 0).all()


@pytest.mark.parametrize(
    "mixer", [ConvFusion(in_channels=8), ConvFusion(in_channels=8, kernel_size=5), GatedFusion(in_channels=8)]
)
def test_what_learns_begins_as_the_mean_of_logits(mixer):
    maps = torch.rand(2, 9, 13, generator=torch.Generator().manual_seed(0))
    expected = logits_of(maps).mean(dim=0)
    assert torch.allclose(mixer(picture(*maps))[0, 0], expected, atol=1e-5)


def test_weights_given_are_what_it_begins_with():
    maps = torch.rand(2, 9, 13, generator=torch.Generator().manual_seed(0))
    expected = (3 * logits_of(maps)[0] + logits_of(maps)[1]) / 4
    for mixer in (ConvFusion(in_channels=8, prior_weight=[6, 2]), GatedFusion(in_channels=8, prior_weight=[3, 1])):
        assert torch.allclose(mixer(picture(*maps))[0, 0], expected, atol=1e-5)
        assert "share" not in mixer.state_dict()
    weighted = MeanFusion(in_channels=8, prior_weight=[3, 1])(picture(*maps)).sigmoid()[0, 0]
    assert torch.allclose(weighted, ((3 * maps[0] + maps[1]) / 4).clamp(0.01, 0.99), atol=1e-5)


def test_the_gate_is_a_convex_combination_before_it_is_sharpened():
    mixer = GatedFusion(in_channels=8)
    with torch.no_grad():
        for weight in (mixer.prior_weight, mixer.shared, mixer.own):
            weight.normal_(generator=torch.Generator().manual_seed(1))
    maps = torch.rand(2, 16, 24, generator=torch.Generator().manual_seed(0))
    mixed, logits = mixer(picture(*maps))[0, 0], logits_of(maps)
    assert (mixed <= logits.max(dim=0).values + 1e-5).all()
    assert (mixed >= logits.min(dim=0).values - 1e-5).all()


def test_the_gate_can_turn_to_whoever_is_sure():
    mixer = GatedFusion(in_channels=8)
    with torch.no_grad():
        mixer.shared[0] = 20.0
    left = torch.where(torch.arange(8) < 4, 0.95, 0.55).expand(6, 8)
    right = torch.where(torch.arange(8) < 4, 0.45, 0.05).expand(6, 8)
    mixed = mixer(picture(left, right)).sigmoid()[0, 0]
    assert torch.allclose(mixed[:, :4], flat(0.95, (6, 4)), atol=0.01)
    assert torch.allclose(mixed[:, 4:], flat(0.05, (6, 4)), atol=0.01)


def test_the_gate_can_go_by_the_distance_to_the_nearest_mask():
    mixer = GatedFusion(in_channels=8)
    with torch.no_grad():
        mixer.own[0, 1], mixer.own[1, 1] = -30.0, 30.0
        mixer.prior_weight[0] = 15.0
    maps = flat(0.9), flat(0.1)
    assert (mixer(picture(*maps, gap=0.0)) > 0).all()
    assert (mixer(picture(*maps, gap=0.8)) < 0).all()


def test_the_gate_can_turn_from_whoever_does_not_agree_with_itself():
    mixer = GatedFusion(in_channels=8)
    with torch.no_grad():
        mixer.shared[5] = -10.0
    maps = [flat(0.9, (16, 24)), flat(0.1, (16, 24))]
    assert (mixer(picture(*maps, unsteady=[flat(0.0, (16, 24)), flat(0.5, (16, 24))])) > 1).all()
    assert (mixer(picture(*maps, unsteady=[flat(0.5, (16, 24)), flat(0.0, (16, 24))])) < -1).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 17), (16, 16)])
@pytest.mark.parametrize("kind", [MeanFusion, VoteFusion, ConvFusion, GatedFusion])
def test_any_size_will_do(kind, size):
    assert kind(in_channels=8)(picture(flat(0.2, size), flat(0.7, size))).shape == (1, 1, *size)


def test_the_unet_says_what_sizes_it_takes():
    mixer = UNetFusion(in_channels=8, depth=2, width=2)
    assert (mixer.multiple, mixer.margin) == (4, 0)
    assert mixer(picture(flat(0.2, (8, 12)), flat(0.7, (8, 12)))).shape == (1, 1, 8, 12)


def test_the_unet_of_the_first_program_loses_its_margin():
    mixer = UNetFusion(
        in_channels=8, depth=2, width=2, padding="none", norm="none", separable=True, positional_encoding="sin"
    )
    assert (mixer.margin, mixer.multiple, mixer.residue) == (20, 4, 0)
    size = (60, 64)
    assert mixer(picture(flat(0.2, size), flat(0.7, size))).shape == (1, 1, 20, 24)


def test_steepness_is_the_sum_of_both_steps():
    ramp = torch.tensor([[[[0.0, 1.0], [2.0, 5.0]]]])
    assert torch.equal(steepness(ramp), torch.tensor([[[[3.0, 4.0], [3.0, 0.0]]]]))
