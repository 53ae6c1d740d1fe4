"""Feature channels against values computed by hand."""

import cv2
import numpy as np
import pytest

from dreaming.features.background_difference import BACKGROUND_CHANNELS
from dreaming.features.channels import (
    CHANNELS,
    AppearanceFeatures,
    assemble_features,
    blurred,
    signed_distance,
)
from dreaming.features.propagated_masks import PropagatedMask, PropagationSource

SIZE = (24, 32)


def propagated(gap, mask=0.0, error=0.0, visible=1.0):
    full = [np.full(SIZE, value, np.float32) if np.isscalar(value) else value for value in (mask, error, visible)]
    return PropagatedMask(PropagationSource("0001", np.zeros(SIZE, np.uint8), "any"), gap, *full)


@pytest.fixture
def appearance():
    lab = np.full((*SIZE, 3), (51, 102, 153), np.uint8)
    return AppearanceFeatures.from_lab(
        lab, np.zeros((*SIZE, 2), np.float32), np.zeros((len(BACKGROUND_CHANNELS), *SIZE), np.float32)
    )


def channels(appearance, *masks, ratios=None):
    zero = np.zeros(SIZE, np.float32)
    zero_ratios = (zero, zero)
    made = assemble_features(appearance, masks, ratios or zero_ratios, error_scale=10)
    assert made.dtype == np.float32
    assert made.shape == (len(CHANNELS), *SIZE)
    return dict(zip(CHANNELS, made, strict=True))


def test_channels_have_one_name_each():
    assert len(set(CHANNELS)) == len(CHANNELS)


def test_masks_are_ordered_by_gap_and_blended_by_error_visibility_and_gap(appearance):
    left, right = propagated(6, mask=1.0, error=10.0), propagated(2, mask=0.0, error=20.0, visible=0.0)
    for masks in ((left, right), (right, left)):
        found = channels(appearance, *masks)
        assert found["near_mask"].max() == 0
        assert found["far_mask"].min() == 1
        assert found["near_gap"][0, 0] == pytest.approx(2 / 12)
        assert found["far_error"][0, 0] == pytest.approx(10 / 50)
        assert found["near_visible"].max() == 0
        assert found["even_blend"][0, 0] == pytest.approx(2 / 8)
        far, near = np.exp(-1) / 6, 0.3 * np.exp(-2) / 2
        assert found["blend"][0, 0] == pytest.approx(far / (far + near), rel=1e-5)


def test_a_frames_own_mask_outweighs_others(appearance):
    found = channels(appearance, propagated(0, mask=1.0), propagated(5, mask=0.0))
    assert found["even_blend"].min() > 0.95
    assert found["blend"].min() > 0.95


def test_relative_position_and_distance_refer_to_the_blend(appearance):
    mask = np.zeros(SIZE, np.float32)
    mask[4:12, 8:24] = 1
    found = channels(appearance, propagated(1, mask), propagated(1, mask))
    assert found["relative_x"][0, 16] == pytest.approx(0.5 / (3 * 128**0.5), rel=1e-4)
    assert found["relative_y"][16, 0] == pytest.approx(8.5 / (3 * 128**0.5), rel=1e-4)
    assert found["x"][3, 16] == pytest.approx(0.5)
    assert found["y"][12, 3] == pytest.approx(0.5)
    assert found["distance"][8, 16] == pytest.approx(4 / 60, abs=0.01)
    assert found["distance"][23, 16] == pytest.approx(-12 / 60, abs=0.01)


def test_appearance_channels_are_scaled(appearance):
    ratio = np.full(SIZE, 2.0, np.float32)
    found = channels(appearance, propagated(1), propagated(1), ratios=(ratio, -ratio))
    assert found["lightness"][0, 0] == pytest.approx(51 / 255)
    assert found["b_blurred_8"][5, 5] == pytest.approx(153 / 255, abs=1e-4)
    assert found["gradient"].max() == 0
    assert found["deviation_2"].max() < 0.01
    assert found["log_ratio"][0, 0] == pytest.approx(0.4)
    assert found["log_ratio_all_blurred_5"][9, 9] == pytest.approx(-0.4, abs=1e-4)


def test_wide_blurs_equal_the_plain_ones():
    values = (np.random.default_rng(0).random((120, 160)) > 0.9).astype(np.float32)
    for sigma in (2.0, 10.0, 20.0):
        plain = cv2.GaussianBlur(values, (0, 0), sigma)
        inside = np.s_[20:-20, 20:-20]
        assert np.abs(blurred(values, sigma) - plain)[inside].max() < 0.01


def test_distance_is_signed_and_clipped():
    mask = np.zeros((9, 40), bool)
    mask[:, :20] = True
    row = signed_distance(mask, 10)[4]
    assert row[:10].min() == 1
    assert row[19] == pytest.approx(0.1, abs=0.02)
    assert row[20] == pytest.approx(-0.1, abs=0.02)
    assert row[30:].max() == -1
    assert (signed_distance(np.zeros((3, 3), bool), 5) == -1).all()
    assert (signed_distance(np.ones((3, 3), bool), 5) == 1).all()
