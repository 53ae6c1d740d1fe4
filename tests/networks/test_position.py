import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dreaming.networks.position import Position, centre, coordinates, mirrored


def test_coordinates_run_from_edge_to_edge():
    positions = coordinates((2, 4))
    assert positions[0, 0].tolist() == [[-0.375, -0.125, 0.125, 0.375]] * 2
    assert positions[0, 1].tolist() == [[-0.25] * 4, [0.25] * 4]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(-5, 9), st.integers(-5, 9))
def test_a_crop_has_the_coordinates_of_its_pixels_in_the_frame(height, width, top, left):
    frame = coordinates((30, 40), origin=(-10, -10), frame=(20, 25))
    crop = coordinates((height, width), frame=(20, 25), origin=(top, left))
    torch.testing.assert_close(crop, frame[..., top + 10 : top + 10 + height, left + 10 : left + 10 + width])


def test_coordinates_do_not_depend_on_resolution():
    small, large = coordinates((3, 5)), coordinates((6, 10))
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(large, 2), small)


@given(st.integers(1, 12))
def test_reflection_agrees_with_numpy(length):
    expected = np.pad(np.arange(length), 20, mode="reflect")
    assert mirrored(torch.arange(-20, length + 20), length).tolist() == expected.tolist()


def test_linear_appends_x_and_y():
    image = torch.randn(2, 3, 4, 6)
    out = Position("linear")(image)
    assert out.shape == (2, 5, 4, 6)
    torch.testing.assert_close(out[:, :3], image)
    torch.testing.assert_close(out[1, 3:], coordinates((4, 6))[0])


def test_sin_appends_sine_and_cosine_of_each_axis():
    position = Position("sin")
    out = position(torch.zeros(1, 1, 3, 4))
    assert out.shape[1] == 1 + position.channels == 5
    x, y = -0.125, 1 / 3  # of column 1, row 2
    expected = [f(math.pi * place) for place in (x, y) for f in (math.sin, math.cos)]
    assert out[0, 1:, 2, 1].tolist() == pytest.approx(expected, abs=1e-5)


def test_none_appends_nothing():
    image = torch.randn(1, 3, 2, 2)
    assert Position("none")(image) is image
    assert Position("none").channels == 0


def test_centre_crops_the_middle():
    assert centre(torch.arange(36.0).view(1, 1, 6, 6), torch.zeros(2, 4)).tolist() == [
        [[[13, 14, 15, 16], [19, 20, 21, 22]]]
    ]
