import numpy as np
import pytest

from dreaming.imaging.brush_strokes import MIN_PIXELS, detail, detail_correlation, without_margin

RNG = np.random.default_rng(0)
ONE, OTHER = RNG.integers(0, 256, (2, 40, 50, 3), dtype=np.uint8)
ALL = np.ones((40, 50), bool)


def test_detail_is_what_a_blur_takes_away():
    ramp = np.repeat(np.arange(50, dtype=np.uint8)[None, :, None] * 3, 40, axis=0).repeat(3, axis=2)
    assert np.abs(detail(ramp, 2.0)[:, 8:-8]).max() < 1e-3
    assert detail(ONE, 2.0).std() > 20


def test_a_picture_foretells_itself_and_no_other():
    assert detail_correlation(ONE, ONE, ALL, 2.0) == pytest.approx(1.0)
    assert detail_correlation(ONE, 255 - ONE, ALL, 2.0) == pytest.approx(-1.0, abs=1e-3)
    assert abs(detail_correlation(ONE, OTHER, ALL, 2.0)) < 0.1


def test_only_the_pixels_asked_for_count():
    half = ALL.copy()
    half[:, 25:] = False
    mixed = np.where(half[..., None], ONE, OTHER)
    assert detail_correlation(ONE, mixed, half, 0.3) > 0.95 > detail_correlation(ONE, mixed, ALL, 0.3)


def test_flat_pictures_foretell_nothing_and_few_pixels_do_not_tell():
    assert detail_correlation(ONE, np.zeros_like(ONE), ALL, 2.0) == 0
    few = np.zeros_like(ALL)
    few.flat[: MIN_PIXELS - 1] = True
    assert detail_correlation(ONE, ONE, few, 2.0) is None
    few.flat[MIN_PIXELS - 1] = True
    assert detail_correlation(ONE, ONE, few, 2.0) == pytest.approx(1.0)


def test_inside_nothing_is_seen_of_an_edge_but_for_the_picture_s_border():
    assert without_margin(ALL, 2.0).all()
    left = ALL.copy()
    left[:, 30:] = False
    flat = np.where(left[..., None], 100, 0).astype(np.uint8).repeat(3, axis=2)
    assert without_margin(left, 2.0).sum() == 40 * 25
    assert np.abs(detail(flat, 2.0)[without_margin(left, 2.0)]).max() < 1 < np.abs(detail(flat, 2.0)[left]).max()
