"""Sizes after scaling, and the interpolation of each direction."""

import numpy as np
import pytest

from dreaming.imaging.resize import resize_image, working_size


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((40, 60), 20, (20, 30)),
        ((60, 40), 20, (30, 20)),
        ((40, 61), 20, (20, 30)),
        ((40, 60), 50, (40, 60)),
        ((40, 60), None, (40, 60)),
        ((1000, 2), 1, (500, 1)),
    ],
)
def test_the_shorter_side_is_scaled_down_only(size, short_side, expected):
    assert working_size(size, short_side) == expected


def test_shrinking_averages_and_enlarging_interpolates():
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert resize_image(image, (4, 4)) is image
    np.testing.assert_allclose(resize_image(image, (2, 2)), image.reshape(2, 2, 2, 2).mean(axis=(1, 3)))
    np.testing.assert_allclose(resize_image(image, (4, 8))[0, 2:4], [0.75, 1.25])
