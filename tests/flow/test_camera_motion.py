"""Residual motion: an affine camera motion is removed, the subject's own motion stays."""

import numpy as np

from dreaming.flow.camera_motion import camera_homography, residual_motion


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
