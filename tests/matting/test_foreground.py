"""Foreground colours: the old background does not show at a soft edge."""

import numpy as np

from dreaming.imaging.morphology import feather
from dreaming.matting.foreground import foreground_colours


def test_a_soft_edge_gets_the_colours_of_the_layer():
    alpha = np.zeros((60, 80), np.float32)
    alpha[:, 40:] = 1
    alpha = feather(alpha, 3)
    alpha[alpha < 0.01], alpha[alpha > 0.99] = 0, 1
    front, back = np.array([200.0, 60, 30]), np.array([20.0, 200, 90])
    image = np.rint(alpha[..., None] * front + (1 - alpha[..., None]) * back).astype(np.uint8)
    found = foreground_colours(image, alpha)
    soft = (alpha > 0.1) & (alpha < 1)
    assert np.abs(image[soft] - front).max() > 100
    assert np.abs(found[soft] - front).max() < 12
    certain = (alpha == 0) | (alpha == 1)
    np.testing.assert_array_equal(found[certain], image[certain])


def test_an_image_without_soft_pixels_is_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    assert foreground_colours(image, np.ones((9, 12), np.float32)) is image
