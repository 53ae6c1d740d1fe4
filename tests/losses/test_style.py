import torch

from dreaming.losses.style import (
    adversarial_loss,
    discriminator_loss,
    feature_distance,
    feature_matching,
    generator_terms,
    pixel_loss,
)


def test_pixel_loss_is_the_mean_absolute_difference():
    generated, styled = torch.zeros(1, 3, 1, 2), torch.zeros(1, 3, 1, 2)
    styled[0, :, 0, 1] = torch.tensor([-1.0, 0.5, 0.0])
    assert pixel_loss(generated, styled) == 1.5 / 6


def test_adversarial_loss_is_the_squared_distance_from_one():
    assert adversarial_loss(torch.tensor([1.0, 0.0, 3.0])) == (0 + 1 + 4) / 3


def test_discriminator_loss_is_half_of_both_mistakes():
    assert discriminator_loss(torch.tensor([1.0, 0.0]), torch.tensor([2.0])) == (0.5 + 4.0) / 2


def test_feature_distance_counts_every_entry_alike():
    generated = [torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 1)]
    styled = [torch.full((1, 1, 2, 2), 1.0), torch.full((1, 1, 1, 1), 3.0)]
    assert feature_distance(generated, styled) == (4 * 1 + 9) / 5


def test_feature_matching_counts_every_layer_alike():
    generated = [torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 1)]
    styled = [torch.full((1, 1, 2, 2), 1.0), torch.full((1, 1, 1, 1), 3.0)]
    assert feature_matching(generated, styled) == (1 + 3) / 2


def test_terms_are_named_and_only_those_asked_for():
    image = torch.zeros(1, 3, 2, 2)
    assert list(generator_terms(image, image)) == ["pixel"]
    maps = ([image], [image + 1])
    terms = generator_terms(image, image, verdicts=torch.zeros(2), features=maps, distance=feature_matching)
    assert terms == {"pixel": 0, "adversarial": 1, "perceptual": 1}
