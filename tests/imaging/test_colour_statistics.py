"""Colour statistics agree with NumPy on all pixels at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreaming.errors import ClipError
from dreaming.imaging import colour_statistics as statistics
from dreaming.imaging.colour_statistics import NEUTRAL, measure


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5))
def test_agrees_with_numpy_on_all_pixels_at_once(seed, sizes):
    rng = np.random.default_rng(seed)
    frames = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    pixels = np.concatenate([frame.reshape(-1, 3) for frame in frames]) / 255
    found = measure(iter(frames))
    np.testing.assert_allclose(found.mean, pixels.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(pixels.T, bias=True), atol=1e-12)


def test_large_frames_are_processed_in_chunks(monkeypatch):
    frame = np.random.default_rng(0).integers(0, 256, (13, 7, 3), dtype=np.uint8)
    whole = measure([frame])
    monkeypatch.setattr(statistics, "CHUNK", 10)
    np.testing.assert_allclose(measure([frame]).covariance, whole.covariance, atol=1e-14)


def test_principal_components_of_a_known_distribution():
    rng = np.random.default_rng(1)
    axes = np.linalg.qr(rng.standard_normal((3, 3)))[0].T
    colours = 128 + rng.standard_normal((400, 500, 3)) * [30, 10, 3] @ axes
    found = measure([colours.clip(0, 255).astype(np.uint8)])
    np.testing.assert_allclose(np.sqrt(found.variances) * 255, [30, 10, 3], rtol=0.02)
    np.testing.assert_allclose(np.abs(np.sum(found.components * axes, axis=1)), 1, atol=1e-3)
    np.testing.assert_allclose(found.components @ found.components.T, np.eye(3), atol=1e-12)


def test_a_flat_clip_has_no_variance():
    found = measure([np.full((4, 4, 3), 51, np.uint8)] * 3)
    np.testing.assert_allclose(found.mean, 0.2)
    assert (found.variances >= 0).all()
    np.testing.assert_allclose(found.deviation, 0, atol=1e-9)


def test_neutral_statistics_are_the_identity():
    assert NEUTRAL.mean.tolist() == [0, 0, 0]
    assert NEUTRAL.deviation.tolist() == [1, 1, 1]


def test_no_frames_are_refused():
    with pytest.raises(ClipError):
        measure([])
