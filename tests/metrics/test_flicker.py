"""Flicker of hand-counted cases: motion along the flow scores 0, appearing and vanishing pixels count."""

import numpy as np
import pytest

from dreaming.metrics.flicker import Flicker, MaskFlicker, flicker, mask_flicker, visible_in_both


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


def test_appearing_and_vanishing_pixels_count_relative_to_the_mean_area():
    # 9 pixels before, 6 after, 3 gone: 3 / 7.5
    assert mask_flicker(square(2), square(2, width=2), moved(0), EVERYWHERE) == pytest.approx(0.4)
    assert mask_flicker(square(2), np.zeros((8, 12), bool), moved(0), EVERYWHERE) == pytest.approx(2.0)
    assert mask_flicker(*[np.zeros((8, 12), bool)] * 2, moved(0), EVERYWHERE) == 0


def test_hidden_pixels_do_not_count():
    visible = EVERYWHERE.copy()
    visible[:, 4] = False
    assert mask_flicker(square(2), square(2, width=2), moved(0), visible) == 0
    assert not visible_in_both(moved(-2), moved(5)).any()
    assert visible_in_both(moved(-2), moved(2)).all()


def test_images_score_their_mean_difference():
    before, after = np.full((8, 12, 3), 10, np.uint8), np.full((8, 12, 3), 14, np.uint8)
    assert flicker(before, after, moved(0), EVERYWHERE) == pytest.approx(4)
    assert flicker(before, after, moved(0), ~EVERYWHERE) == 0


def test_metrics_average_over_pairs():
    masks = MaskFlicker()
    masks.update([square(2)], [square(2, width=2)], [moved(0)], [EVERYWHERE])  # 0.4
    masks.update([square(2)], [square(4)], [moved(-2)], [EVERYWHERE])  # 0
    assert masks.compute().item() == pytest.approx(0.2)
    images = Flicker()
    images.update([square(2) * 1.0], [square(2) * 5.0], [moved(0)], [square(2)])
    assert images.compute().item() == pytest.approx(4)
