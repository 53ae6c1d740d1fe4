import numpy as np
import pytest

from dreaming.frames.morphology import feather


def test_a_step_becomes_the_gaussian_s_own_curve():
    mask = np.zeros((9, 41), np.float32)
    mask[:, 20:] = 1
    found = feather(mask, 2.0)
    offsets = np.arange(-20, 21)
    weights = np.exp(-(offsets**2) / 8)
    expected = [weights[offsets >= 20 - column].sum() / weights.sum() for column in range(41)]
    np.testing.assert_allclose(found, np.tile(expected, (9, 1)), atol=2e-3)
    assert found.dtype == np.float32


def test_no_sigma_leaves_the_mask_and_equal_masks_stay():
    mask = np.eye(6, dtype=np.float32)
    np.testing.assert_array_equal(feather(mask, 0), mask)
    for value in (0.0, 1.0):
        np.testing.assert_allclose(feather(np.full((7, 5), value, np.float32), 9.0), value, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 5.0])
def test_values_stay_probabilities(sigma):
    mask = (np.random.default_rng(0).random((20, 30)) > 0.5).astype(np.float32)
    found = feather(mask, sigma)
    assert 0 <= found.min() <= found.max() <= 1
