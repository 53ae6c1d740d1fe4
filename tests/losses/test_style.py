import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from dreaming.losses.style import (
    adversarial_loss,
    discriminator_loss,
    feature_distance,
    feature_matching,
    gradient,
    pixel_loss,
    similarity,
    structure_loss,
    temporal_loss,
)


def test_pixel_loss_is_the_mean_absolute_difference():
    generated, styled = torch.zeros(1, 3, 1, 2), torch.zeros(1, 3, 1, 2)
    styled[0, :, 0, 1] = torch.tensor([-1.0, 0.5, 0.0])
    assert pixel_loss(generated, styled) == 1.5 / 6


def test_adversarial_loss_is_the_squared_distance_from_one():
    assert adversarial_loss(torch.tensor([1.0, 0.0, 3.0])) == (0 + 1 + 4) / 3


def test_discriminator_loss_is_half_of_both_errors():
    assert discriminator_loss(torch.tensor([1.0, 0.0]), torch.tensor([2.0])) == (0.5 + 4.0) / 2


def test_feature_distance_weighs_entries_equally():
    generated = [torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 1)]
    styled = [torch.full((1, 1, 2, 2), 1.0), torch.full((1, 1, 1, 1), 3.0)]
    assert feature_distance(generated, styled) == (4 * 1 + 9) / 5


def test_feature_matching_weighs_layers_equally():
    generated = [torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 1)]
    styled = [torch.full((1, 1, 2, 2), 1.0), torch.full((1, 1, 1, 1), 3.0)]
    assert feature_matching(generated, styled) == (1 + 3) / 2


def test_similarity_is_that_of_torchmetrics_away_from_the_border():
    one = torch.rand(2, 3, 20, 31, generator=torch.Generator().manual_seed(0))
    other = (one + 0.2 * torch.rand(2, 3, 20, 31, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    expected = structural_similarity_index_measure(one, other, data_range=1.0, return_full_image=True)[1][
        ..., 5:-5, 5:-5
    ]
    found = similarity(2 * one - 1, 2 * other - 1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert structure_loss(2 * one - 1, 2 * other - 1) == pytest.approx(1 - float(expected.mean()), abs=1e-5)


def test_similarity_is_measured_in_full_precision():
    one = 0.9 + 0.01 * torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    other = one.flip(-1)
    with torch.autocast("cpu", torch.bfloat16):
        found = similarity(one, other)
    torch.testing.assert_close(found, similarity(one, other))


def test_the_gradient_is_the_length_of_the_differences():
    image = torch.zeros(1, 2, 2, 2)
    image[0, 0, 0, 1], image[0, 1, 1, 0] = 3.0, 4.0
    torch.testing.assert_close(gradient(image)[0, 0], torch.tensor([[5.0, 3.0], [4.0, 0.0]]), atol=1e-5, rtol=0)


def test_temporal_loss_is_the_difference_from_the_warped_image():
    before = torch.rand(2, 3, 9, 11)
    after = torch.zeros_like(before)
    after[..., 1:, :-2] = before[..., :-1, 2:]  # two to the left and one down
    motion = torch.tensor([2.0, -1.0])[None, :, None, None].expand(2, 2, 9, 11)
    visible = torch.zeros(2, 1, 9, 11, dtype=torch.bool)
    visible[..., 1:, :-2] = True
    assert float(temporal_loss(before, after, motion, visible)) == pytest.approx(0, abs=1e-5)
    assert float(temporal_loss(before, after + 0.25, motion, visible)) == pytest.approx(0.25, abs=1e-5)
    halfway = torch.tensor([0.5, 0.0])[None, :, None, None].expand(2, 2, 9, 11)
    expected = ((before[..., :-1] + before[..., 1:]) / 2 - before[..., :-1]).abs()[..., 1:, :-1].mean()
    assert float(temporal_loss(before, before, halfway, visible)) == pytest.approx(float(expected), abs=1e-5)
    assert float(temporal_loss(before, after, motion, torch.zeros_like(visible))) == 0


def test_temporal_loss_has_gradients_for_both_images():
    frames = [torch.rand(1, 3, 8, 8, requires_grad=True) for _ in range(2)]
    visible = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    temporal_loss(*frames, torch.zeros(1, 2, 8, 8), visible).backward()
    assert all(frame.grad.any() for frame in frames)
