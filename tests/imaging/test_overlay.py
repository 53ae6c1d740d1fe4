"""Colours of masks over frames."""

import numpy as np

from dreaming.imaging.overlay import overlay


def test_foreground_is_green_and_errors_are_red():
    image = np.full((2, 2, 3), 100, np.uint8)
    predicted = np.array([[True, True], [False, False]])
    truth = np.array([[True, False], [True, False]])
    tinted = overlay(image, predicted, truth)
    assert tinted[0, 0].tolist() == [50, 177, 50]
    assert tinted[0, 1].tolist() == tinted[1, 0].tolist() == [208, 30, 30]
    assert tinted[1, 1].tolist() == [100, 100, 100]


def test_without_ground_truth_nothing_is_red():
    tinted = overlay(np.zeros((1, 2, 3), np.uint8), np.array([[True, False]]))
    assert tinted.tolist() == [[[0, 127, 0], [0, 0, 0]]]
