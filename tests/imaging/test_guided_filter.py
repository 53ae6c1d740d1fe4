"""The guided filter agrees with its definition, window by window."""

import numpy as np
import pytest

from dreaming.imaging.guided_filter import colour_guided_filter, guided_filter


def plain(values, grey, radius, epsilon):
    """Equations 4 to 8 of He et al. as loops; valid away from the border."""
    height, width = grey.shape
    slope, offset = np.zeros(grey.shape), np.zeros(grey.shape)
    for y in range(radius, height - radius):
        for x in range(radius, width - radius):
            window = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
            i, p = grey[window], values[window]
            slope[y, x] = ((i * p).mean() - i.mean() * p.mean()) / (i.var() + epsilon)
            offset[y, x] = p.mean() - slope[y, x] * i.mean()
    out = np.zeros(grey.shape)
    for y in range(2 * radius, height - 2 * radius):
        for x in range(2 * radius, width - 2 * radius):
            window = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
            out[y, x] = slope[window].mean() * grey[y, x] + offset[window].mean()
    return out.clip(0, 1)


def test_agrees_with_the_definition():
    rng = np.random.default_rng(0)
    values = rng.random((20, 24)).astype(np.float32)
    grey = rng.integers(0, 255, (20, 24), np.uint8)
    found = guided_filter(values, np.dstack([grey] * 3), radius=2, epsilon=0.01)
    assert found.dtype == np.float32
    inner = np.s_[4:-4, 4:-4]
    np.testing.assert_allclose(found[inner], plain(values, grey / 255.0, 2, 0.01)[inner], atol=2e-3)


def test_outlines_move_to_edges_and_radius_0_is_the_identity():
    values, guide = np.zeros((16, 32), np.float32), np.zeros((16, 32, 3), np.uint8)
    values[:, 17:], guide[:, 16:] = 1, 200
    values = (values + np.roll(values, -2, 1).clip(0, 1)) / 2
    assert guided_filter(values, guide, 0, 1e-3) is values
    found = guided_filter(values, guide, 4, 1e-4)
    np.testing.assert_array_equal(found[8, 8:24] > 0.5, np.arange(8, 24) >= 16)


@pytest.mark.parametrize("grey", [False, True])
def test_the_colour_version_is_a_linear_regression_in_each_window(grey):
    rng = np.random.default_rng(1)
    values, guide = rng.random((12, 13)).astype(np.float32), rng.integers(0, 256, (12, 13, 3), np.uint8)
    guide = guide[..., :1].repeat(3, 2) if grey else guide
    epsilon = 1e-5
    slopes, offsets = np.zeros((12, 13, 3)), np.zeros((12, 13))
    for y in range(2, 10):
        for x in range(2, 11):
            colours = guide[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3) / 255
            window = values[y - 2 : y + 3, x - 2 : x + 3].ravel()
            centred = colours - colours.mean(0)
            system = centred.T @ centred / 25 + epsilon * np.eye(3)
            slopes[y, x] = np.linalg.solve(system, centred.T @ (window - window.mean()) / 25)
            offsets[y, x] = window.mean() - slopes[y, x] @ colours.mean(0)
    found = colour_guided_filter(values, guide, 2, epsilon)
    for y in range(4, 8):
        for x in range(4, 9):
            around = np.s_[y - 2 : y + 3, x - 2 : x + 3]
            expected = slopes[around].mean((0, 1)) @ (guide[y, x] / 255) + offsets[around].mean()
            assert abs(found[y, x] - expected.clip(0, 1)) < 2e-3
