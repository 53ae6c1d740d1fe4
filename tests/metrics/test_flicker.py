"""Flicker against hand-counted cases: what moves along does not flicker, what comes and goes does."""

import numpy as np
import pytest

from dreaming.metrics.flicker import flicker, mask_flicker, visible_in_both


def moved(pixels):
    flow = np.zeros((8, 12, 2), np.float32)
    flow[..., 0] = pixels
    return flow


def square(left, width=3):
    mask = np.zeros((8, 12), bool)
    mask[2:5, left : left + width] = True
    return mask


EVERYWHERE = np.ones((8, 12), bool)


def test_a_mask_that_moves_with_its_subject_does_not_flicker():
    assert mask_flicker(square(2), square(4), moved(-2), EVERYWHERE) == 0


def test_what_comes_and_goes_counts_against_the_mean_area():
    # 9 pixels before, 6 after, 3 gone: 3 / 7.5
    assert mask_flicker(square(2), square(2, width=2), moved(0), EVERYWHERE) == pytest.approx(0.4)
    assert mask_flicker(square(2), np.zeros((8, 12), bool), moved(0), EVERYWHERE) == pytest.approx(2.0)
    assert mask_flicker(*[np.zeros((8, 12), bool)] * 2, moved(0), EVERYWHERE) == 0


def test_hidden_pixels_do_not_count():
    seen = EVERYWHERE.copy()
    seen[:, 4] = False
    assert mask_flicker(square(2), square(2, width=2), moved(0), seen) == 0
    assert not visible_in_both(moved(-2), moved(5)).any()
    assert visible_in_both(moved(-2), moved(2)).all()


def test_frames_are_told_by_their_mean_difference():
    before, after = np.full((8, 12, 3), 10, np.uint8), np.full((8, 12, 3), 14, np.uint8)
    assert flicker(before, after, moved(0), EVERYWHERE) == pytest.approx(4)
    assert flicker(before, after, moved(0), ~EVERYWHERE) == 0
