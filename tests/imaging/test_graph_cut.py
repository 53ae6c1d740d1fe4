"""The cut in a rectangle follows the colours, and keeps what is painted."""

import cv2
import numpy as np
import pytest

from dreaming.imaging import graph_cut
from dreaming.imaging.graph_cut import cut, cut_rectangle

SIZE = (60, 80)
ROWS, COLUMNS = slice(10, 50), slice(20, 60)
NONE = np.zeros((40, 40), bool)


@pytest.fixture
def disc():
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (columns - 40) ** 2 + (rows - 30) ** 2 <= 13**2
    noise = np.random.default_rng(0).integers(-20, 20, (*SIZE, 3))
    return disc, (np.where(disc[..., None], (200, 40, 30), (30, 60, 160)) + noise).astype(np.uint8)


@pytest.mark.parametrize("area", [600, 10_000])
def test_the_cut_follows_the_colours_at_any_size(disc, monkeypatch, area):
    monkeypatch.setattr(graph_cut, "MAX_AREA", area)
    truth, image = disc
    mask = cut_rectangle(image, ROWS, COLUMNS, NONE)
    inside = truth[ROWS, COLUMNS]
    assert mask.shape == NONE.shape
    assert (mask & inside).sum() / (mask | inside).sum() > (0.98 if area > 5000 else 0.8)


def test_painted_pixels_stay(disc):
    _, image = disc
    painted = NONE.copy()
    painted[:3, :3] = True
    assert cut_rectangle(image, ROWS, COLUMNS, painted)[painted].all()


@pytest.mark.parametrize(("rows", "columns"), [(slice(0, 60), slice(0, 80)), (slice(3, 4), slice(7, 8))])
def test_the_whole_frame_and_one_pixel_are_rectangles(disc, rows, columns):
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    assert cut_rectangle(disc[1], rows, columns, np.zeros(shape, bool)).shape == shape


@pytest.mark.parametrize("label", [cv2.GC_BGD, cv2.GC_FGD, cv2.GC_PR_BGD, cv2.GC_PR_FGD])
def test_one_side_alone_is_not_cut(disc, label):
    assert cut(disc[1], np.full(SIZE, label, np.uint8), 1) is None
