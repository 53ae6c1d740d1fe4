import math

import kornia
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dreaming.data.augment import ColorJitter, GeometricAugmentation, resample

LIKE = torch.zeros(1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_without_augmentation_a_crop_is_its_centre():
    image = torch.rand(3, 4, 11, 11)
    geometry = GeometricAugmentation()
    assert geometry.headroom(7) == 0
    torch.testing.assert_close(resample(image, geometry.positions(3, 7, LIKE, generator())), image[..., 2:9, 2:9])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9))
def test_flips_and_quarter_turns_map_pixels_to_pixels(seed, crop):
    image = torch.rand(8, 3, crop, crop, generator=generator(seed))
    geometry = GeometricAugmentation(flip_horizontal=0.5, flip_vertical=0.5, quarter_turns=0.5)
    found = resample(image, geometry.positions(8, crop, LIKE, generator(seed)))
    for before, after in zip(image, found, strict=True):
        ways = [way.rot90(k, (1, 2)) for way in (before, before.flip(2)) for k in range(4)]
        assert min(float((way - after).abs().max()) for way in ways) < 1e-4


@pytest.mark.parametrize(
    ("switch", "expected"),
    [
        ("flip_horizontal", lambda image: [image.flip(3)]),
        ("flip_vertical", lambda image: [image.flip(2)]),
        ("quarter_turns", lambda image: [image.rot90(k, (2, 3)) for k in (1, 2, 3)]),
    ],
)
def test_each_parameter_has_its_effect(switch, expected):
    image = torch.rand(1, 1, 5, 5)
    found = [
        resample(image, GeometricAugmentation(**{switch: 1.0}).positions(1, 5, LIKE, generator(seed)))
        for seed in range(20)
    ]
    kinds = expected(image)
    hits = {min(range(len(kinds)), key=lambda k: float((kinds[k] - one).abs().max())) for one in found}
    assert hits == set(range(len(kinds)))
    assert all(min(float((kind - one).abs().max()) for kind in kinds) < 1e-5 for one in found)


def test_rotation_agrees_with_kornia():
    image = kornia.filters.gaussian_blur2d(torch.rand(1, 1, 41, 41), (7, 7), (2.0, 2.0))
    geometry = GeometricAugmentation(affine=1.0, rotation=30.0)
    positions = geometry.positions(1, 41, LIKE, generator(3))
    right = positions[0, 20, 21] - positions[0, 20, 20]  # where one step along x leads
    angle = math.degrees(math.atan2(right[1], right[0]))
    assert 1 < abs(angle) <= 30
    expected = kornia.geometry.rotate(image, torch.tensor([angle]), padding_mode="reflection")
    found = resample(image, positions)
    assert (found - expected)[..., 10:31, 10:31].abs().max() < 0.01


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 40), st.floats(0, 0.5), st.floats(0, 15))
def test_headroom_holds_every_corner_of_an_affine_map(seed, rotation, zoom, shear):
    geometry = GeometricAugmentation(affine=1.0, rotation=rotation, zoom=zoom, shear=shear, quarter_turns=0.5)
    positions = geometry.positions(16, 20, LIKE, generator(seed))
    assert positions.abs().max() <= 10 + geometry.headroom(20)


def test_zoom_and_shear_stay_within_their_limits():
    positions = GeometricAugmentation(affine=1.0, zoom=0.5).positions(200, 3, LIKE, generator())
    size = (positions[:, 1, 2] - positions[:, 1, 1]).norm(dim=1)
    assert 1 / 1.5 <= size.min() < 0.72
    assert 1.4 < size.max() <= 1.5
    positions = GeometricAugmentation(affine=1.0, shear=20.0).positions(200, 3, LIKE, generator())
    slant = (positions[:, 2, 1] - positions[:, 1, 1])[:, 0]
    assert 0.3 < slant.max() <= math.tan(math.radians(20))


def test_elastic_deformation_has_the_given_strength_and_share_and_is_smooth():
    geometry = GeometricAugmentation(elastic=0.5, elastic_std=3.0, spacing=16)
    moved = geometry.positions(400, 33, LIKE, generator()) - GeometricAugmentation().positions(1, 33, LIKE, generator())
    bent = moved.abs().amax(dim=(1, 2, 3)) > 1e-4
    assert 0.4 < bent.float().mean() < 0.6
    assert moved[bent][:, ::16, ::16].std().item() == pytest.approx(3.0, rel=0.25)
    assert moved.diff(dim=1).abs().max() < 3.0
    assert geometry.headroom(33) == 6


def spread(strength):
    return torch.eye(3)[[2, 0, 1]], torch.tensor(strength) ** 2


def test_without_jitter_colours_are_unchanged():
    image = torch.rand(2, 3, 5, 5)
    torch.testing.assert_close(ColorJitter()(image, *spread([0.3, 0.2, 0.1]), generator()), image)


def test_colour_shifts_along_the_clips_components():
    image = torch.full((4000, 3, 1, 1), 0.5)
    moved = ColorJitter(colour=0.5)(image, *spread([0.2, 0.1, 0.0]), generator())[..., 0, 0] - 0.5
    # The strongest component is blue, the second red, and green does not vary in this clip.
    assert moved.std(dim=0).tolist() == pytest.approx([0.05, 0.0, 0.1], rel=0.1, abs=1e-6)


def test_brightness_contrast_and_gamma():
    image = torch.rand(500, 3, 4, 4) * 0.4 + 0.3
    flat = spread([0.0, 0.0, 0.0])
    shift = (ColorJitter(brightness=0.1)(image, *flat, generator()) - image).flatten(1)
    assert shift.std(dim=1).max() < 1e-6
    assert 0.095 < shift.abs().max() <= 0.1001
    stretched = ColorJitter(contrast=0.2)(image, *flat, generator())
    torch.testing.assert_close(stretched.mean(dim=(1, 2, 3)), image.mean(dim=(1, 2, 3)))
    gain = stretched.flatten(1).std(dim=1) / image.flatten(1).std(dim=1)
    assert 0.8 <= gain.min() < 0.82
    assert 1.18 < gain.max() <= 1.2001
    exponent = (ColorJitter(gamma=1.0)(image, *flat, generator()).log() / image.log()).flatten(1)
    torch.testing.assert_close(exponent.amax(1), exponent.amin(1), rtol=1e-3, atol=1e-3)
    assert 0.5 <= exponent.min() < 0.52
    assert 1.9 < exponent.max() <= 2.001


def test_jittered_colours_stay_in_range():
    found = ColorJitter(brightness=0.9, contrast=0.9)(torch.rand(9, 3, 4, 4), *spread([1.0, 1.0, 1.0]), generator())
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize(("rotation", "pixels"), [(0, 0), (30, 19), (45, 21), (180, 21)])
def test_the_corners_of_a_turned_crop_are_farthest_at_45_degrees(rotation, pixels):
    assert GeometricAugmentation(affine=0.5, rotation=rotation).headroom(100) == pixels
