"""Warping, chaining and checks of flows, with values computed by hand."""

import cv2
import numpy as np

from dreaming.flow.warp import chain, consistent, coordinates, resize_flow, squared_length, warp

RAMP = np.arange(6, dtype=np.float32)[None].repeat(4, axis=0)  # the value is x


def shift(x, y=0.0, size=(4, 6)):
    """A flow of the same motion everywhere."""
    return np.full((*size, 2), (x, y), np.float32)


def test_a_pixel_takes_the_value_where_its_flow_points():
    np.testing.assert_array_equal(warp(RAMP, shift(1.5))[0], [1.5, 2.5, 3.5, 4.5, 5, 5])
    np.testing.assert_array_equal(warp(RAMP, shift(2), border=cv2.BORDER_CONSTANT)[0], [2, 3, 4, 5, 0, 0])
    np.testing.assert_array_equal(coordinates(shift(1, -2))[3, 0], [1, 1])


def test_a_chained_flow_is_the_second_one_where_the_first_points():
    second = np.dstack([RAMP, np.zeros_like(RAMP)])
    np.testing.assert_array_equal(chain(shift(2), second)[0, :, 0], [4, 5, 6, 7, 7, 7])


def test_a_resized_flow_has_the_pixels_of_its_new_size():
    resized = resize_flow(shift(2, 3), (8, 24))
    assert resized.shape == (8, 24, 2)
    np.testing.assert_array_equal(resized[5, 7], [8, 6])
    same = shift(1)
    assert resize_flow(same, (4, 6)) is same


def test_flows_that_return_within_the_tolerance_are_consistent():
    there = shift(3, 4)
    assert consistent(there, shift(-3, -4)).all()
    # an error of 1: 1 <= 0.01 (25 + 36 or 20) + 0.5 does not hold for the shorter way back
    assert consistent(there, shift(-3, -5)).all()
    assert not consistent(there, shift(-3, -3)).any()
    assert consistent(there, shift(-3, -3), absolute=1.0).all()
    np.testing.assert_array_equal(squared_length(there), 25)
