"""Known motions of a camera are recovered, from flow and from corners, beside a subject that moves otherwise."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreaming.flow.camera_motion import (
    accumulate_transforms,
    camera_homography,
    camera_motion,
    mosaic_extent,
    residual_motion,
)
from dreaming.flow.mosaic import Mosaic

SIZE = (120, 160)
CORNERS = np.array([[[0, 0], [159, 0], [159, 119], [0, 119]]], float)


def landscape(seed=0):
    rough = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)
    return cv2.resize(rough, (300, 240), interpolation=cv2.INTER_CUBIC)


def seen(matrix):
    """A frame whose pixel x lies at ``matrix`` x of the landscape."""
    return cv2.warpPerspective(landscape(), matrix, SIZE[::-1], flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


def shift(x, y):
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], float)


def apart(one, other):
    moved = [cv2.perspectiveTransform(CORNERS, matrix) for matrix in (one, other)]
    return np.linalg.norm(moved[0] - moved[1], axis=-1).max()


@settings(max_examples=15, deadline=None)
@given(st.floats(-6, 6), st.floats(-6, 6), st.floats(-0.04, 0.04), st.sampled_from(["affine", "homography"]))
def test_a_known_motion_is_recovered_beside_a_moving_object(x, y, turn, motion):
    begin = shift(60, 50)
    turned = np.array([[np.cos(turn), -np.sin(turn), x], [np.sin(turn), np.cos(turn), y], [0, 0, 1]])
    before, after = seen(begin), seen(begin @ turned)
    before[40:80, 60:100], after[45:85, 70:110] = landscape(1)[:40, :40], landscape(1)[:40, :40]
    backdrop = np.ones(SIZE, bool)
    backdrop[40:80, 60:100] = False
    found = camera_motion(before, after, backdrop, motion)
    assert apart(found, np.linalg.inv(turned)) < 1.5


def test_motions_accumulate_to_the_first_frame():
    transforms = [shift(60 + 5 * number, 50 - 3 * number) for number in range(6)]
    frames = [(str(number), seen(transform)) for number, transform in enumerate(transforms)]
    found = list(accumulate_transforms(frames, [np.ones(SIZE, bool)] * 6, "affine"))
    assert apart(found[-1], shift(25, -15)) < 0.5
    moved, size = mosaic_extent(found, SIZE, 2.0)
    assert abs(size[0] - 135) <= 2
    assert abs(size[1] - 185) <= 2
    assert np.allclose(moved, shift(0, -found[-1][1, 2]), atol=1.5)


def test_the_mosaic_is_bounded():
    _, size = mosaic_extent([np.eye(3), shift(1e5, -1e5)], SIZE, 1.5)
    assert size == (150, 200)
    assert mosaic_extent([np.eye(3)], SIZE, 2.0)[1] == SIZE


def test_without_corners_the_camera_is_static_with_a_warning(caplog):
    grey = np.full((*SIZE, 3), 128, np.uint8)
    found = list(accumulate_transforms([("a", grey), ("b", grey)], [np.ones(SIZE, bool)] * 2, "homography"))
    assert np.array_equal(found[1], np.eye(3))
    assert [(record.levelname, record.args) for record in caplog.records] == [("WARNING", (1, "b"))]


def test_a_mosaic_is_assembled_from_the_frames():
    transforms = {"a": shift(0, 0), "b": shift(30, 10)}
    scene = Mosaic(transforms, SIZE, (130, 190))
    subject = np.zeros(SIZE, bool)
    subject[50:60, 70:80] = True
    frame = seen(shift(60, 50))
    scene.add("a", frame, subject)
    assert not scene.known[50:60, 70:80].any()
    scene.add("b", seen(shift(90, 60)), np.zeros(SIZE, bool))
    np.testing.assert_array_equal(scene.image[:120, :160], frame)
    np.testing.assert_array_equal(scene.known[10:, 30:], True)
    assert not scene.known[:10, 165:].any()
    np.testing.assert_array_equal(scene.extract_mask("b", scene.warp_mask("b", subject)), subject)
    beyond = np.ones((130, 190), bool)
    inserted = scene.insert_mask("b", subject, beyond)
    np.testing.assert_array_equal(scene.extract_mask("b", inserted), subject)
    assert inserted[:10].all()
    assert inserted[:, :30].all()


def camera(height, width):
    y, x = np.mgrid[:height, :width]
    return np.dstack([0.01 * x - 0.02 * y + 3, 0.02 * x + 0.01 * y - 1]).astype(np.float32)


def test_the_subjects_own_motion_stays():
    flow = camera(60, 80)
    flow[20:40, 30:50] += (4, -2)
    left = residual_motion(flow, np.ones((60, 80), bool))
    np.testing.assert_allclose(left[20:40, 30:50], np.broadcast_to((4, -2), (20, 20, 2)), atol=1e-2)
    left[20:40, 30:50] = 0
    np.testing.assert_allclose(left, 0, atol=1e-2)


def test_the_camera_is_estimated_from_the_backdrop_alone():
    flow = camera(60, 80)
    flow[:, 16:] = (5, 5)
    backdrop = np.zeros((60, 80), bool)
    backdrop[:, :16] = True
    left = residual_motion(flow, backdrop)
    np.testing.assert_allclose(left[:, :16], 0, atol=1e-2)
    assert np.abs(left[:, 40:]).max() > 1


def test_without_backdrop_nothing_is_removed():
    flow = camera(60, 80)
    np.testing.assert_array_equal(residual_motion(flow, np.zeros((60, 80), bool)), flow)


def test_the_homography_ignores_a_moving_subject():
    flow = camera(60, 80)
    flow[20:40, 30:60] += (7, -4)
    found = camera_homography(flow)
    np.testing.assert_allclose(found / found[2, 2], [[1.01, -0.02, 3], [0.02, 1.01, -1], [0, 0, 1]], atol=1e-3)


def test_an_implausible_camera_motion_is_ignored():
    rough = np.random.default_rng(0).normal(0, 30, (60, 80, 2)).astype(np.float32)
    assert 0.5 < np.linalg.det(camera_homography(rough)[:2, :2]) < 2
    np.testing.assert_array_equal(camera_homography(np.zeros((2, 2, 2), np.float32)), np.eye(3))


def test_the_noise_of_a_plain_backdrop_is_not_taken_for_motion(caplog):
    rng = np.random.default_rng(4)
    frames = [(name, rng.integers(60, 72, (*SIZE, 3)).astype(np.uint8)) for name in "abc"]
    found = list(accumulate_transforms(frames, [np.ones(SIZE, bool)] * 3, "homography"))
    assert all(np.array_equal(each, np.eye(3)) for each in found)
    assert [record.args for record in caplog.records] == [(2, "b")]


@pytest.mark.parametrize("gain", [0.7, 1.35])
def test_motion_is_found_in_spite_of_a_jump_in_exposure(gain):
    before, after = seen(shift(60, 50)), np.clip(seen(shift(57, 50)) * gain, 0, 255).astype(np.uint8)
    moved = camera_motion(before, after, np.ones(SIZE, bool), "homography")
    assert np.allclose(moved, shift(-3, 0), atol=0.5) or np.allclose(moved, shift(3, 0), atol=0.5)
