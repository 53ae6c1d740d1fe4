"""Exposure: the gain of each channel is found in spite of noise, clipping and a subject, and small ones are left."""

import numpy as np
import pytest

from dreaming.imaging.exposure import match_exposure

SIZE = (40, 60)
EVERYWHERE = np.ones(SIZE, bool)


@pytest.fixture
def scene():
    return np.random.default_rng(1).integers(30, 230, (*SIZE, 3)).astype(np.uint8)


@pytest.mark.parametrize("gain", [(1.35, 1.35, 1.35), (0.6, 0.7, 0.8), (2.0, 1.0, 1.0)])
def test_a_gain_is_removed_where_levels_are_clipped_too(scene, gain):
    image = np.clip(scene * np.array(gain), 0, 255).astype(np.uint8)
    assert (image == 255).any() == (max(gain) > 1)
    image[5:15, 5:20] = 90  # a subject, which the median ignores
    difference = np.abs(match_exposure(image, scene, EVERYWHERE).astype(int) - scene)
    difference[5:15, 5:20] = 0
    assert difference.max() <= 5


def test_nothing_is_changed_without_a_gain_or_without_pixels_to_compare(scene):
    noisy = (scene + np.random.default_rng(2).integers(-5, 6, scene.shape)).astype(np.uint8)
    assert match_exposure(noisy, scene, EVERYWHERE) is noisy
    brighter = np.clip(scene * 1.3, 0, 255).astype(np.uint8)
    assert match_exposure(brighter, scene, ~EVERYWHERE) is brighter
    assert match_exposure(brighter, np.zeros_like(scene), EVERYWHERE) is brighter
