"""A mosaic of frames shifted by whole pixels, so that every pixel is known."""

import numpy as np

from dreaming.flow.mosaic import MARGIN, Mosaic

FRAME, SIZE = (20, 30), (20, 40)
AT_4 = np.array([[1.0, 0, 4], [0, 1, 0], [0, 0, 1]])  # the frame begins at column 4 of the mosaic
NOTHING = np.zeros(FRAME, bool)


def grey(value):
    return np.full((*FRAME, 3), value, np.uint8)


def test_the_first_frame_that_shows_the_background_fills_it():
    mosaic = Mosaic({"a": np.eye(3), "b": AT_4}, FRAME, SIZE)
    subject = NOTHING.copy()
    subject[8:12, 14:16] = True
    mosaic.add("a", grey(10), subject)
    hole = np.zeros(SIZE, bool)
    hole[8 - MARGIN : 12 + MARGIN, 14 - MARGIN : 16 + MARGIN] = True
    np.testing.assert_array_equal(mosaic.known[:, :30], ~hole[:, :30])
    mosaic.add("b", grey(20), NOTHING)
    assert mosaic.known[:, :34].all()
    assert not mosaic.known[:, 34:].any()
    expected = np.where(hole | (np.arange(40) >= 30), 20, 10)[:, :34]
    np.testing.assert_array_equal(mosaic.image[:, :34, 0], expected)
    over = mosaic.overlay("b", grey(30))
    np.testing.assert_array_equal(over[0, :, 0], [10] * 4 + [30] * 30 + [0] * 6)


def test_masks_are_warped_to_the_mosaic_and_back():
    mosaic, mask, outside = Mosaic({"b": AT_4}, FRAME, SIZE), NOTHING.copy(), np.ones(SIZE, bool)
    mask[3, 5] = True
    assert np.argwhere(mosaic.warp_mask("b", mask)).tolist() == [[3, 9]]
    np.testing.assert_array_equal(mosaic.extract_mask("b", mosaic.warp_mask("b", mask)), mask)
    inserted = mosaic.insert_mask("b", mask, outside)
    assert inserted.sum() == 1 + 20 * 10
    assert inserted[:, :4].all()


def test_a_static_camera_is_not_warped():
    mosaic, image = Mosaic({"a": np.eye(3)}, FRAME, FRAME), grey(7)
    laid = mosaic.overlay("a", image)
    np.testing.assert_array_equal(laid, image)
    assert laid is not image, "the caller may draw on it"
