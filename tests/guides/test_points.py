"""Points are scattered evenly, moved along the flow and drawn as blobs, as plain arithmetic and the reference do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from dreaming.guides.points import Points, draw_blobs, far_from, moved, scatter, values_at


def points(*numbered):
    ids, positions = zip(*numbered, strict=True)
    return Points(np.array(ids, np.int32), np.array(positions, np.float32))


@given(st.integers(20, 90), st.integers(20, 90), st.floats(2, 12), st.integers(0, 3))
@settings(max_examples=12, deadline=None)
def test_scattered_points_keep_their_distance_and_leave_no_hole(height, width, radius, seed):
    positions = scatter((height, width), radius, seed)
    assert positions.min() >= 0
    assert (positions <= [width - 1, height - 1]).all()
    if len(positions) > 1:
        assert pdist(positions).min() > radius * (1 - 1e-5)
    inner = far_from(positions, (height, width), 2.5 * radius + 1)
    assert not inner.any()


def test_the_pattern_depends_on_its_seed_only():
    again = scatter.__wrapped__((40, 50), 5.0, 1)
    np.testing.assert_array_equal(again, scatter((40, 50), 5.0, 1))
    assert len(again) != len(scatter((40, 50), 5.0, 2)) or (again != scatter((40, 50), 5.0, 2)).any()


def test_flow_is_interpolated_between_its_pixels():
    flow = np.zeros((4, 6, 2), np.float32)
    flow[..., 0], flow[..., 1] = np.arange(6), 10 * np.arange(4)[:, None]
    found = moved(np.array([[1.5, 2.0], [5.0, 0.25], [-3.0, 9.0]], np.float32), flow, (4, 6))
    np.testing.assert_allclose(found, [[1.5 + 1.5, 2 + 20], [5 + 5, 0.25 + 2.5], [-3 + 0, 9 + 30]])


def test_flow_of_half_the_size_moves_points_in_frame_pixels():
    flow = np.full((4, 6, 2), (1.5, -0.5), np.float32)
    found = moved(np.array([[3.0, 3.0]], np.float32), flow, (8, 12))
    np.testing.assert_allclose(found, [[6.0, 2.0]])
    ramp = np.zeros((4, 6, 2), np.float32)
    ramp[..., 0] = np.arange(6)
    # The middle of the third working pixel lies between the fifth and the sixth pixel of the frame.
    np.testing.assert_allclose(moved(np.array([[4.5, 3.0]], np.float32), ramp, (8, 12)), [[4.5 + 4, 3.0]])


def test_points_within_the_margin_are_kept():
    found = points((1, (-2, 3)), (2, (-6, 3)), (5, (11, 3)), (6, (4, 8.5)), (9, (4, 30))).within((6, 10), 4)
    assert found.ids.tolist() == [1, 5, 6]


def test_of_two_close_points_the_later_one_stays():
    found = points((1, (5, 5)), (2, (20, 5)), (7, (5.5, 5)), (8, (22, 5))).thinned(1)
    assert found.ids.tolist() == [2, 7, 8]
    assert len(Points.none().thinned(1)) == 0


def test_points_are_joined_by_ascending_id():
    both = points((1, (0, 0)), (5, (1, 1))) + points((0, (2, 2)), (3, (3, 3)))
    assert both.ids.tolist() == [0, 1, 3, 5]
    assert both.positions[:, 0].tolist() == [2, 0, 3, 1]


def test_far_from_is_the_distance_to_the_nearest():
    positions = np.array([[3, 2], [9, 8], [50, 1]], np.float32)
    found = far_from(positions, (12, 14), 4.0)
    for y, x in np.ndindex(12, 14):
        assert found[y, x] == (min(math.hypot(x - 3, y - 2), math.hypot(x - 9, y - 8)) > 4), (x, y)
    assert far_from(positions[2:], (12, 14), 4.0).all()


def test_a_mask_is_read_at_the_nearest_pixel():
    mask = np.zeros((4, 5), bool)
    mask[2, 3] = True
    assert values_at(np.array([[3.4, 1.6], [2.4, 2.0]], np.float32), mask).tolist() == [True, False]


def test_blobs_are_blended_in_order():
    positions = np.array([[4.3, 5.0], [7.0, 6.5], [-2.0, 3.0], [40.0, 40.0]], np.float32)
    colours = np.array([[255, 0, 10], [0, 200, 90], [70, 70, 70], [255, 255, 255]], np.uint8)
    expected = np.zeros((12, 15, 3))
    for y, x in np.ndindex(12, 15):
        for (u, v), colour in zip(positions, colours, strict=True):
            if max(abs(x - u), abs(y - v)) <= 6:
                weight = math.exp(-((x - u) ** 2 + (y - v) ** 2) / 2.0**2)
                expected[y, x] = (1 - weight) * expected[y, x] + weight * colour
    assert np.abs(draw_blobs(positions, colours, 2.0, (12, 15)) - expected).max() <= 0.51
    assert not draw_blobs(positions[:0], colours[:0], 2.0, (12, 15)).any()


def test_points_and_blobs_equal_the_reference(shared):
    reference = np.load(shared / "data/reference/gauss.npz")
    flow = np.load(shared / "data/reference/bilateral.npz")["to_next"]
    positions, size = reference["points"][0], flow.shape[1:3]
    for frame in range(1, len(reference["points"])):
        positions = moved(positions, flow[frame - 1], size)
        np.testing.assert_allclose(positions, reference["points"][frame], atol=1e-3)
    for frame in (0, 5, 10):
        drawn = draw_blobs(reference["points"][frame], reference["colors"], float(reference["sigma"]), size)
        assert np.abs(drawn.astype(int) - reference[f"drawn_{frame:02d}"]).max() <= 1


@pytest.mark.parametrize("size", [(480, 854), (60, 800)])
def test_the_density_does_not_depend_on_the_size(size):
    share = len(scatter(size, 10.0, 0)) / (size[0] * size[1])
    assert share == pytest.approx(len(scatter((150, 150), 10.0, 0)) / 150**2, rel=0.15)
