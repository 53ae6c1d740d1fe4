"""The painter is deterministic, local and accepts any size."""

import numpy as np
import pytest

from dreaming.demo.painter import paint
from dreaming.demo.scene import DemoScene


def test_paint_is_deterministic_and_moves_with_the_image():
    image = DemoScene(height=72, width=128, samples=2).frame(3)[0]
    before = image.copy()
    painted = paint(image)
    assert painted.shape == image.shape
    assert painted.dtype == np.uint8
    np.testing.assert_array_equal(painted, paint(image))
    np.testing.assert_array_equal(image, before)
    # Without the static weave, a shifted image gives a shifted painting away from the borders.
    shifted = paint(np.roll(image, 7, axis=1), canvas=0)
    still = paint(image, canvas=0)
    difference = np.abs(np.roll(still, 7, axis=1).astype(int) - shifted)[20:-20, 30:-30]
    assert np.median(difference) <= 1
    assert difference.mean() < 2
    assert 8 < np.abs(painted.astype(int) - image).mean() < 60, "painted, yet the same image"


def test_plain_surfaces_show_only_the_canvas():
    plain = np.full((60, 80, 3), (120, 90, 60), np.uint8)
    assert np.ptp(paint(plain, canvas=0), axis=(0, 1)).max() == 0
    assert 2 <= np.ptp(paint(plain), axis=(0, 1)).max() <= 12


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 3, 3), (33, 200, 3)])
def test_any_size_is_accepted(shape: tuple[int, int, int]):
    assert paint(np.random.default_rng(0).integers(0, 256, shape, np.uint8)).shape == shape
