import numpy as np

from dreaming.imaging.overlay import overlay


def test_found_pixels_turn_green_and_wrong_ones_red():
    image = np.full((2, 2, 3), 100, np.uint8)
    found = np.array([[True, True], [False, False]])
    truth = np.array([[True, False], [True, False]])
    picture = overlay(image, found, truth)
    assert picture[0, 0].tolist() == [50, 177, 50]
    assert picture[0, 1].tolist() == picture[1, 0].tolist() == [208, 30, 30]
    assert picture[1, 1].tolist() == [100, 100, 100]


def test_without_a_truth_nothing_is_red():
    picture = overlay(np.zeros((1, 2, 3), np.uint8), np.array([[True, False]]))
    assert picture.tolist() == [[[0, 127, 0], [0, 0, 0]]]
