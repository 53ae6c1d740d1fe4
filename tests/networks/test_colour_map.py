import numpy as np
import pytest
import torch

from dreaming.networks.colour_map import ColourMap, box_mean, edge_preserving_mean, receptive_radius, sampling_step


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def unmasked(image, painted):
    return [(image, painted, torch.ones_like(image[:1], dtype=torch.bool))]


def test_unfitted_it_is_the_identity():
    image = noise(2, 3, 9, 14)
    torch.testing.assert_close(ColourMap()(image), image)


def test_a_cubic_recolouring_is_fitted_exactly():
    image = noise(3, 30, 40)
    painted = 0.2 + 0.5 * image.flip(0) - 0.3 * image**3 + 0.1 * image * image.roll(1, 0)
    model = ColourMap(ridge=0.0)
    model.fit(unmasked(image, painted))
    torch.testing.assert_close(model(image[None])[0], painted.clamp(-1, 1), atol=1e-3, rtol=0)


def test_the_fit_is_ridge_regression_towards_the_identity():
    image, painted = noise(3, 12, 10), noise(3, 12, 10, seed=1)
    model = ColourMap(ridge=0.01)
    identity = model.coefficients.clone()
    model.fit(unmasked(image, painted))
    rows = model._monomials(model._features(image[None])[0].flatten(1).T).double().numpy()
    wanted = painted.flatten(1).T.double().numpy()
    # The same as ordinary least squares with a further row for each coefficient.
    weight = np.sqrt(0.01 * len(rows))
    stacked = np.vstack([rows, weight * np.eye(rows.shape[1])])
    solution = np.linalg.lstsq(stacked, np.vstack([wanted, weight * identity.double().numpy()]), rcond=None)[0]
    np.testing.assert_allclose(model.coefficients.numpy(), solution, atol=1e-4)


def test_only_marked_pixels_are_fitted():
    image, painted = noise(3, 20, 20), -noise(3, 20, 20)
    mask = torch.zeros(1, 20, 20, dtype=torch.bool)
    mask[:, :10] = True
    other = painted.clone()
    other[:, 10:] = 1.0
    models = ColourMap(), ColourMap()
    for model, target in zip(models, (painted, other), strict=True):
        model.fit([(image, target, mask)])
    torch.testing.assert_close(models[0].coefficients, models[1].coefficients)


@pytest.mark.parametrize("radius", [1, 3])
def test_a_mean_covers_the_pixels_inside_the_picture(radius):
    image = noise(1, 2, 7, 9)
    slow = torch.empty_like(image)
    for y in range(7):
        for x in range(9):
            window = image[..., max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
            slow[..., y, x] = window.mean(dim=(2, 3))
    torch.testing.assert_close(box_mean(image, radius), slow)


@pytest.mark.parametrize("radius", [0, 2, 8])
def test_means_of_a_tile_equal_those_of_the_whole_frame_bit_by_bit(radius):
    frame = 0.9 + 0.05 * noise(1, 3, 40, 700)  # a bright sky: the worst case for differences of cumulative sums
    whole, tile = (box_mean(picture, radius) for picture in (frame, frame[..., 300:]))
    assert torch.equal(tile[..., radius:], whole[..., 300 + radius :])


def test_edges_stay_and_grain_is_removed():
    image = torch.where(torch.arange(40) < 20, -0.8, 0.8).expand(1, 3, 30, 40) + 0.05 * noise(1, 3, 30, 40)
    smooth = edge_preserving_mean(image, 3, 0.02)
    assert smooth[..., 8:22, 4:12].std() < 0.4 * image[..., 8:22, 4:12].std()
    assert (smooth[..., 20] - smooth[..., 19]).mean() > 1.5
    assert (box_mean(image, 3)[..., 20] - box_mean(image, 3)[..., 19]).mean() < 0.5


def test_the_sampling_step_grows_with_the_radius():
    assert [sampling_step(radius) for radius in (0, 1, 4, 7, 8, 15, 16, 40)] == [1, 1, 1, 1, 2, 2, 4, 8]


@pytest.mark.parametrize("radius", [8, 16, 19])
def test_a_coarse_grid_changes_little(radius):
    image = torch.where(torch.arange(91) < 40, -0.6, 0.7).expand(1, 3, 75, 91) + 0.1 * noise(1, 3, 75, 91)
    around = box_mean(image, radius)
    variance = (box_mean(image**2, radius) - around**2).mean(dim=1, keepdim=True)
    kept = variance / (variance + 0.02)
    plain = box_mean(kept, radius) * image + box_mean((1 - kept) * around, radius)
    # Where the last cell is not full its pixels count more.
    inner = (..., slice(0, 75 - radius), slice(0, 91 - radius))
    error = (edge_preserving_mean(image, radius, 0.02) - plain)[inner].abs()
    assert error.max() < 0.06
    assert error.mean() < 0.005


@pytest.mark.parametrize("radius", [3, 8, 19])
def test_the_receptive_radius_of_an_edge_preserving_mean(radius):
    far = 4 * receptive_radius(radius)
    image = noise(1, 1, 8, far)
    for place in range(far // 2, far // 2 + 8):
        other = image.clone()
        other[..., place + receptive_radius(radius) + 1 :] = 0
        other[..., : place - receptive_radius(radius)] = 0
        pair = [edge_preserving_mean(picture, radius, 0.02)[..., place] for picture in (image, other)]
        torch.testing.assert_close(pair[0], pair[1], atol=1e-5, rtol=0)


def test_pixels_beyond_the_margin_have_no_effect():
    model, image = ColourMap(), noise(1, 3, 70, 70)
    model.fit(unmasked(image[0], -image[0].roll(1, 0)))
    other = image.clone()
    first = 35 + model.margin + 1
    other[..., first:] = noise(1, 3, 70, 70, seed=2)[..., first:]
    changed = (model(other) - model(image)).abs().amax(dim=(0, 1, 2))
    assert changed[:36].max() < 1e-5
    assert changed[36:].max() > 1e-2
