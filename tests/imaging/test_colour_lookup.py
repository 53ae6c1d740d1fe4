"""The colour table agrees with the function that it tabulates."""

import numpy as np
import pytest
from scipy.special import expit

from dreaming.imaging.colour_lookup import ColourTable


@pytest.mark.parametrize("nodes", [2, 18, 64, 256])
def test_a_linear_function_is_exact_at_every_colour(nodes):
    def log_odds(colours):
        return colours @ [6.0, -4.0, 2.5] - 1

    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    found = ColourTable(log_odds, nodes)(image)
    np.testing.assert_allclose(found, expit(log_odds(image / 255.0)), atol=0.502 / 255)
    assert found.dtype == np.float32


def test_channels_keep_their_order():
    table = ColourTable(lambda colours: 40 * (colours[:, 0] + 2 * colours[:, 1] - colours[:, 2]) - 60, 2, limit=100)
    image = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 255, 255]]], np.uint8)
    np.testing.assert_array_equal(table(image), [[0, 1, 0, 1, 0]])
