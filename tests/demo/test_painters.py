"""Each painter has strokes of its own kind, which move with the image, stay in place or are new in each frame."""

import cv2
import numpy as np
import pytest

from dreaming.demo.painters import BLUE, GOLD, PAINTERS, draw_chalk, draw_ink, gild, lay_with_knife, wash_watercolour
from dreaming.demo.scene import DemoScene


@pytest.fixture(scope="module")
def image():
    return DemoScene(height=72, width=128, samples=2).frame(3)[0]


@pytest.mark.parametrize("name", PAINTERS)
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (72, 128)])
def test_a_painting_depends_on_the_frame_only_and_has_any_size(image, name, shape):
    cut = np.ascontiguousarray(image[: shape[0], : shape[1]])
    before = cut.copy()
    painted = PAINTERS[name](cut, 4)
    assert (painted.shape, painted.dtype) == (cut.shape, np.uint8)
    np.testing.assert_array_equal(painted, PAINTERS[name](cut, 4))
    np.testing.assert_array_equal(cut, before)


def test_ink_is_dark_lines_on_few_colours(image):
    inked = draw_ink(image)
    assert len(np.unique(inked.reshape(-1, 3), axis=0)) < len(np.unique(image.reshape(-1, 3), axis=0)) / 4
    assert 0.03 < (inked.max(axis=2) < 40).mean() < 0.4
    shifted = draw_ink(np.roll(image, 7, axis=1))
    assert (np.roll(inked, 7, axis=1) == shifted)[20:-20, 30:-30].mean() > 0.99


def test_the_knife_lays_other_strokes_in_each_frame(image):
    first, second = (lay_with_knife(image, index).astype(int) for index in (0, 1))
    assert np.abs(first - second).mean() > 10
    assert np.abs(cv2.blur(first - second + 0.0, (41, 41))).mean() < 0.6 * np.abs(first - second).mean()


def test_the_paper_stays_in_place():
    plain = np.full((60, 80, 3), (120, 90, 60), np.uint8)
    grain = wash_watercolour(plain).astype(int)
    assert 15 < np.ptp(grain[..., 0]) < 130
    lighter = wash_watercolour(plain + 40).astype(int)
    assert np.corrcoef(grain[..., 0].ravel(), lighter[..., 0].ravel())[0, 1] > 0.98


def test_gold_and_chalk_have_other_hues_than_each_other_and_the_frame(image):
    for painted, colours in ((gild(image), GOLD), (draw_chalk(image), BLUE)):
        assert (painted >= np.min(colours, axis=0)).all()
        assert (painted <= np.max(colours, axis=0)).all()
    red, _, blue = np.moveaxis(gild(image).astype(int) - draw_chalk(image), 2, 0)
    assert red.mean() > 60
    assert blue.mean() < -60


def test_chalk_is_lighter_along_edges():
    image = np.full((40, 60, 3), 60, np.uint8)
    image[:, 30:] = 180
    drawn = draw_chalk(image).mean(axis=(0, 2))
    assert drawn[27:33].max() > drawn[45:].mean() + 30
