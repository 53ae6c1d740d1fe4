"""The guided filter agrees with its definition, window by window."""

import numpy as np

from dreaming.imaging.guided_filter import guided_filter


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
