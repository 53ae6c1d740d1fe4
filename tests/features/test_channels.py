"""The channels of the evidence against values worked out by hand."""

import cv2
import numpy as np
import pytest

from dreaming.features.background_difference import DIFFERENCES
from dreaming.features.channels import CHANNELS, AppearanceFeatures, Blend, blurred, signed_distance, stack
from dreaming.features.propagated_masks import PropagatedMask, PropagationSource

SIZE = (24, 32)


def side(gap, mask=0.0, error=0.0, visible=1.0):
    full = [np.full(SIZE, value, np.float32) if np.isscalar(value) else value for value in (mask, error, visible)]
    return PropagatedMask(PropagationSource("0001", np.zeros(SIZE, np.uint8), "any"), gap, *full)


@pytest.fixture
def look():
    lab = np.full((*SIZE, 3), (51, 102, 153), np.uint8)
    return AppearanceFeatures.at(lab, np.zeros((*SIZE, 2), np.float32), np.zeros((len(DIFFERENCES), *SIZE), np.float32))


def channels(look, *sides, ratios=None, blend=None):
    zero = np.zeros(SIZE, np.float32)
    made = stack(look, sides, ratios or (zero, zero), blend or Blend(error_scale=10, occlusion_weight=0.5), reach=8)
    assert made.dtype == np.float32
    assert made.shape == (len(CHANNELS), *SIZE)
    return dict(zip(CHANNELS, made, strict=True))


def test_channels_have_one_name_each():
    assert len(set(CHANNELS)) == len(CHANNELS)


def test_sides_are_ordered_by_distance_and_blended_by_what_is_known_of_them(look):
    left, right = side(6, mask=1.0, error=10.0), side(2, mask=0.0, error=20.0, visible=0.0)
    for sides in ((left, right), (right, left)):
        found = channels(look, *sides)
        assert found["near_mask"].max() == 0
        assert found["far_mask"].min() == 1
        assert found["near_gap"][0, 0] == pytest.approx(2 / 12)
        assert found["far_error"][0, 0] == pytest.approx(10 / 50)
        assert found["near_visible"].max() == 0
        assert found["even_blend"][0, 0] == pytest.approx(2 / 8)
        far, near = np.exp(-1) / 6, 0.5 * np.exp(-2) / 2
        assert found["blend"][0, 0] == pytest.approx(far / (far + near), rel=1e-5)


def test_its_own_mask_outweighs_any_other(look):
    found = channels(look, side(0, mask=1.0), side(5, mask=0.0))
    assert found["even_blend"].min() > 0.95
    assert found["blend"].min() > 0.95


def test_place_and_distance_are_counted_from_the_blend(look):
    mask = np.zeros(SIZE, np.float32)
    mask[4:12, 8:24] = 1
    found = channels(look, side(1, mask), side(1, mask))
    assert found["relative_x"][0, 16] == pytest.approx(0.5 / (3 * 128**0.5), rel=1e-4)
    assert found["relative_y"][16, 0] == pytest.approx(8.5 / (3 * 128**0.5), rel=1e-4)
    assert found["x"][3, 16] == pytest.approx(0.5)
    assert found["y"][12, 3] == pytest.approx(0.5)
    assert found["distance"][8, 16] == pytest.approx(4 / 8, abs=0.05)
    assert found["distance"][23, 16] == -1


def test_what_the_frame_shows_is_scaled(look):
    ratio = np.full(SIZE, 2.0, np.float32)
    found = channels(look, side(1), side(1), ratios=(ratio, -ratio))
    assert found["lightness"][0, 0] == pytest.approx(51 / 255)
    assert found["b_blurred_8"][5, 5] == pytest.approx(153 / 255, abs=1e-4)
    assert found["gradient"].max() == 0
    assert found["deviation_2"].max() < 0.01
    assert found["log_ratio"][0, 0] == pytest.approx(0.4)
    assert found["palette_ratio_blurred_5"][9, 9] == pytest.approx(-0.4, abs=1e-4)


def test_wide_blurs_are_as_good_as_the_plain_way():
    values = (np.random.default_rng(0).random((120, 160)) > 0.9).astype(np.float32)
    for sigma in (2.0, 10.0, 20.0):
        plain = cv2.GaussianBlur(values, (0, 0), sigma)
        inside = np.s_[20:-20, 20:-20]
        assert np.abs(blurred(values, sigma) - plain)[inside].max() < 0.01


def test_distance_has_a_sign_and_an_end():
    mask = np.zeros((9, 40), bool)
    mask[:, :20] = True
    row = signed_distance(mask, 10)[4]
    assert row[:10].min() == 1
    assert row[19] == pytest.approx(0.1, abs=0.02)
    assert row[20] == pytest.approx(-0.1, abs=0.02)
    assert row[30:].max() == -1
    assert (signed_distance(np.zeros((3, 3), bool), 5) == -1).all()
    assert (signed_distance(np.ones((3, 3), bool), 5) == 1).all()
