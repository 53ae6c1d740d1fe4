"""Correlation of the fine detail of images, and the masks that select it."""

import numpy as np
import pytest

from dreaming.imaging.brush_strokes import (
    MIN_PIXELS,
    detail,
    detail_correlation,
    even_grain,
    grain,
    painted_over,
    without_margin,
)

RNG = np.random.default_rng(0)
ONE, OTHER = RNG.integers(0, 256, (2, 40, 50, 3), dtype=np.uint8)
ALL = np.ones((40, 50), bool)


def test_detail_excludes_smooth_ramps():
    ramp = np.repeat(np.arange(50, dtype=np.uint8)[None, :, None] * 3, 40, axis=0).repeat(3, axis=2)
    assert np.abs(detail(ramp, 2.0)[:, 8:-8]).max() < 1e-3
    assert detail(ONE, 2.0).std() > 20


def test_an_image_correlates_with_itself_only():
    assert detail_correlation(ONE, ONE, ALL, 2.0) == pytest.approx(1.0)
    assert detail_correlation(ONE, 255 - ONE, ALL, 2.0) == pytest.approx(-1.0, abs=1e-3)
    assert abs(detail_correlation(ONE, OTHER, ALL, 2.0)) < 0.1


def test_only_the_selected_pixels_count():
    half = ALL.copy()
    half[:, 25:] = False
    mixed = np.where(half[..., None], ONE, OTHER)
    assert detail_correlation(ONE, mixed, half, 0.3) > 0.95 > detail_correlation(ONE, mixed, ALL, 0.3)


def test_flat_images_score_0_and_few_pixels_none():
    assert detail_correlation(ONE, np.zeros_like(ONE), ALL, 2.0) == 0
    few = np.zeros_like(ALL)
    few.flat[: MIN_PIXELS - 1] = True
    assert detail_correlation(ONE, ONE, few, 2.0) is None
    few.flat[MIN_PIXELS - 1] = True
    assert detail_correlation(ONE, ONE, few, 2.0) == pytest.approx(1.0)


def test_the_margin_excludes_the_mask_s_edge_but_not_the_image_s_border():
    assert without_margin(ALL, 2.0).all()
    left = ALL.copy()
    left[:, 30:] = False
    flat = np.where(left[..., None], 100, 0).astype(np.uint8).repeat(3, axis=2)
    assert without_margin(left, 2.0).sum() == 40 * 25
    assert np.abs(detail(flat, 2.0)[without_margin(left, 2.0)]).max() < 1 < np.abs(detail(flat, 2.0)[left]).max()


def test_only_changed_pixels_count_as_painted_over():
    painted = ONE.copy()
    painted[10:30, 10:30] = 255 - painted[10:30, 10:30]
    found = painted_over(painted, ONE, 1.0)
    assert found[14:26, 14:26].all()
    assert not found[:, 36:].any()


def test_small_differences_do_not_count_as_painted_over():
    grey = np.full((20, 20, 3), 100, np.uint8)
    assert not painted_over(grey + np.uint8(3), grey, 1.0).any()
    assert painted_over(grey + np.uint8(5), grey, 1.0).all()


def test_grain_is_what_the_frame_does_not_explain():
    frame = np.repeat(np.linspace(20, 200, 50)[None, :, None], 40, axis=0).repeat(3, axis=2).astype(np.uint8)
    noise = RNG.normal(0, 5, (40, 50))
    painted = np.clip(0.7 * frame + 30 + noise[..., None], 0, 255).astype(np.uint8)
    found = grain(painted, frame, 8, 1e-3)
    assert np.corrcoef(found.ravel(), noise.ravel())[0, 1] > 0.9
    assert np.abs(grain(frame, frame, 8, 1e-5)).mean() < 1


def test_even_grain_is_as_strong_where_it_is_faint_and_0_where_nothing_is_painted():
    frame = np.full((60, 120, 3), 100, np.uint8)
    strength = np.where(np.arange(120) < 60, 20, 5)
    painted = np.clip(128 + strength[:, None] * RNG.standard_normal((60, 120, 1)), 0, 255).astype(np.uint8).repeat(3, 2)
    mask = np.ones((60, 120), bool)
    mask[:, 105:] = False
    raw, even = grain(painted, frame, 8, 1e-3), even_grain(painted, frame, mask, 8, 1e-3, 2.5)
    assert raw[:, :50].std() > 3 * raw[:, 70:].std()
    assert even[:, :50].std() == pytest.approx(1.1, abs=0.15)
    assert even[:, 70:105].std() == pytest.approx(even[:, :50].std(), rel=0.3)
    assert np.abs(even).max() == 2.5
    assert not even[:, 105:].any()
    assert even[:, 100:105].std() == pytest.approx(even[:, 70:100].std(), rel=0.25)
