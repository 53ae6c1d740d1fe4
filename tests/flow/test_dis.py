"""Optical flow of a known shift; warping against a plain loop; chaining step by step; the forward-backward check."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreaming.flow.dis import DisFlow
from dreaming.flow.warp import chain, consistent, coordinates, resize_flow, warp


def texture(size, seed=3):
    """Smooth random grey, so that every region is unique."""
    noise = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def cut(picture, top, left):
    return picture[top : top + 100, left : left + 140].copy()


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium"])
@pytest.mark.parametrize(("dx", "dy"), [(3, 0), (-2, 4)])
def test_flow_of_a_shifted_texture_is_the_shift(preset, dx, dy):
    whole = texture((140, 180))
    one, other = cut(whole, 20, 20), cut(whole, 20 - dy, 20 - dx)
    dis = DisFlow(preset, scale=1.0)
    there, back = dis.between(one, other), dis.between(other, one)
    inner = np.s_[15:-15, 15:-15]
    np.testing.assert_allclose(np.median(there[inner], axis=(0, 1)), [dx, dy], atol=0.1)
    np.testing.assert_allclose(np.median(back[inner], axis=(0, 1)), [-dx, -dy], atol=0.1)
    assert consistent(there, back)[inner].mean() > 0.95


def test_flow_does_not_depend_on_threads():
    one, other = texture((90, 120)), np.roll(texture((90, 120)), (2, 3), (0, 1))
    before = cv2.getNumThreads()
    try:
        found = []
        for threads in (1, 3):
            cv2.setNumThreads(threads)
            found.append(DisFlow().between(one, other))
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(*found)


def test_refining_corrects_an_approximate_flow():
    whole = texture((140, 180))
    one, other = cut(whole, 20, 20), cut(whole, 20, 17)
    wrong = np.full((100, 140, 2), [1.5, 1.0], np.float32)
    kept = wrong.copy()
    refined = DisFlow(scale=1.0).refine(one, other, wrong, coarsest_scale=1)
    np.testing.assert_allclose(np.median(refined[15:-15, 15:-15], axis=(0, 1)), [3, 0], atol=0.1)
    np.testing.assert_array_equal(wrong, kept)


def test_the_working_size_follows_the_scale_with_a_minimum():
    assert DisFlow(scale=0.5).working_size((480, 854)) == (240, 427)
    assert DisFlow(scale=0.5).working_size((20, 40)) == (16, 32)
    assert DisFlow(scale=0.5).working_size((4, 40)) == (16, 160)
    image = np.random.default_rng(0).integers(0, 255, (1, 9, 3), np.uint8)
    grey = DisFlow().prepare(image)
    assert DisFlow().between(grey, grey).shape == (16, 144, 2)


def plain_warp(picture, flow):
    """Bilinear sampling by a double loop; beyond the border the border's pixels go on."""
    height, width = picture.shape
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            u, v = x + float(flow[y, x, 0]), y + float(flow[y, x, 1])
            left, top = int(np.floor(u)), int(np.floor(v))
            for row, column, weight in (
                (top, left, (1 - (u - left)) * (1 - (v - top))),
                (top, left + 1, (u - left) * (1 - (v - top))),
                (top + 1, left, (1 - (u - left)) * (v - top)),
                (top + 1, left + 1, (u - left) * (v - top)),
            ):
                out[y, x] += weight * picture[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
    return out


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_warping_equals_a_plain_loop(height, width, seed):
    rng = np.random.default_rng(seed)
    picture = rng.random((height, width)).astype(np.float32)
    flow = rng.uniform(-4, 4, (height, width, 2)).astype(np.float32)
    # OpenCV 4 rounds coordinates to a 32nd of a pixel.
    np.testing.assert_allclose(warp(picture, flow), plain_warp(picture, flow), atol=0.04)


def test_warping_fetches_from_where_the_flow_points():
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    flow = np.full((3, 4, 2), [1, 0], np.float32)
    np.testing.assert_array_equal(warp(picture, flow), [[1, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11]])
    np.testing.assert_array_equal(warp(picture, flow, border=cv2.BORDER_CONSTANT)[:, 3], 0)
    np.testing.assert_array_equal(coordinates(flow)[2, 1], [2, 2])


def test_chained_constant_flows_add_up():
    first, second = np.full((20, 30, 2), [2.5, -1], np.float32), np.full((20, 30, 2), [-0.5, 3], np.float32)
    np.testing.assert_allclose(chain(first, second), np.full((20, 30, 2), [2, 2]), atol=1e-6)


def test_chaining_equals_warping_step_by_step():
    """a -> b by whole pixels, b -> c by another flow of whole pixels: fetching twice equals fetching once."""
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 255, (20, 30), np.uint8)
    first = np.full((20, 30, 2), [3, 2], np.float32)
    second = rng.integers(-2, 3, (20, 30, 2)).astype(np.float32)
    inner = np.s_[4:-4, 4:-6]
    np.testing.assert_array_equal(warp(picture, chain(first, second))[inner], warp(warp(picture, second), first)[inner])


def test_flow_that_does_not_return_is_inconsistent():
    there, back = np.zeros((8, 8, 2), np.float32), np.zeros((8, 8, 2), np.float32)
    there[2, 2], back[4, 6] = (4, 2), (-4, -2)  # comes back to where it was
    there[5, 1] = (2, 0)  # comes back two pixels off
    there[6, 6] = (0.7, 0)  # 0.49 is below 0.5 square pixels
    seen = consistent(there, back)
    assert seen[2, 2]
    assert seen[6, 6]
    assert not seen[5, 1]
    assert not consistent(there, back, relative=0.0, absolute=0.4)[6, 6]


def test_resized_flow_is_in_the_new_pixels():
    flow = np.full((10, 20, 2), [1, 2], np.float32)
    np.testing.assert_allclose(resize_flow(flow, (30, 40)), np.full((30, 40, 2), [2, 6]))
    assert resize_flow(flow, (10, 20)) is flow


@pytest.mark.parametrize(
    ("name", "value"),
    [("finest_scale", 0), ("patch_stride", 1), ("descent_iterations", 1), ("smoothing_iterations", 0)],
)
def test_the_smallest_search_parameters_and_the_presets_give_finite_flow(name, value):
    image = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    assert np.isfinite(DisFlow(**{name: value}).between(image, image)).all()
    assert np.isfinite(DisFlow(**{name: None}).between(image, image)).all()
