"""Bands of an image, and their local statistics against plain NumPy."""

import numpy as np
import pytest

from dreaming.strokes.bands import (
    MAX_TINT,
    NOISE,
    QUANTILES,
    SIGMAS,
    channel_mean,
    energy_quantiles,
    local_correlation,
    local_energy,
    sample,
    split,
    tint,
)

RNG = np.random.default_rng(2)
IMAGE = RNG.uniform(0, 255, (40, 60, 3)).astype(np.float32)


def test_the_sum_of_the_bands_is_the_image():
    parts = list(split(IMAGE))
    assert len(parts) == len(SIGMAS) + 1
    np.testing.assert_allclose(sum(parts), IMAGE, atol=1e-3)
    assert [part.std() for part in parts] == sorted((part.std() for part in parts), reverse=True), "noise is finest"


def test_local_energy_is_a_weighted_mean():
    sigma, (row, column) = 2.0, (20, 30)
    rows, columns = np.mgrid[:40, :60]
    weights = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))
    mean = (weights * np.abs(IMAGE @ np.array([0.299, 0.587, 0.114]))).sum() / weights.sum()
    assert local_energy(IMAGE, sigma)[row, column] == pytest.approx(np.pi / 2 * mean**2, rel=1e-3)
    np.testing.assert_allclose(
        local_energy(IMAGE[..., :1].repeat(3, 2), 2.0), local_energy(IMAGE[..., 0], 2.0), rtol=1e-5
    )
    np.testing.assert_allclose(channel_mean(IMAGE), IMAGE.mean(axis=2), rtol=1e-5)


def test_local_energy_is_the_variance_of_noise_and_little_of_a_few_edges():
    noise = RNG.normal(0, 7, (200, 200)).astype(np.float32)
    assert local_energy(noise, 20.0).mean() == pytest.approx(49, rel=0.05)
    edges = np.zeros((200, 200), np.float32)
    edges[:, ::20] = 7 * np.sqrt(20)  # the same mean square
    assert local_energy(edges, 20.0).mean() < 0.2 * 49


def test_local_correlation():
    band = RNG.normal(0, 30, (60, 60)).astype(np.float32)
    other = RNG.normal(0, 30, (60, 60)).astype(np.float32)
    assert local_correlation(band, 2 * band, 5.0).min() > 0.99
    assert local_correlation(band, -band, 5.0).max() < -0.99
    assert abs(local_correlation(band, other, 5.0).mean()) < 0.1
    flat = np.full((60, 60), np.sqrt(NOISE) / 10, np.float32)
    assert local_correlation(flat, flat, 5.0).max() < 0.02


def test_tint_is_the_slope_of_each_channel_on_grey():
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    noise = RNG.normal(0, 9, (40, 60, 1)).astype(np.float32)
    slopes = np.array([1.6, 0.8, -0.2], np.float32)
    np.testing.assert_allclose(tint(noise * slopes, 4.0), np.tile(slopes / (slopes @ weights), (40, 60, 1)), atol=0.03)
    np.testing.assert_allclose(tint(noise * slopes * np.float32(0.002), 4.0), 1, atol=0.01)
    np.testing.assert_allclose(tint(IMAGE, 4.0) @ weights, 1, rtol=1e-3)
    hues = 10 * noise * np.array([0.587, -0.25, 0], np.float32)  # of almost the same grey
    assert (tint(hues, 4.0)[..., :2] == [MAX_TINT, -MAX_TINT]).all()


def test_quantiles_increase_and_describe_the_distribution():
    values = RNG.exponential(20, 5000).astype(np.float32)
    found = energy_quantiles(values)
    assert found[[0, QUANTILES // 2, -1]] == pytest.approx(np.quantile(values, [0, 0.5, 1]), rel=1e-2, abs=1e-2)
    assert (np.diff(energy_quantiles(np.zeros(9, np.float32))) > 0).all(), "of a flat image, too"
    assert not energy_quantiles(np.zeros(0, np.float32)).any()


def test_sample_takes_pixels_of_the_mask():
    values = np.arange(40 * 60, dtype=np.float32).reshape(40, 60)
    where = values > 1000
    assert set(sample(values, where)) < set(values[where])
    assert sample(values, ~where & False).size == 0
