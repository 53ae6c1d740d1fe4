"""The street moves at the speed of the camera, and repeats."""

import cv2
import numpy as np

from dreaming.demo.backdrop import Backdrop
from dreaming.demo.scene import DemoScene


def test_the_street_pans_to_the_left():
    scene = DemoScene(height=144, width=256, samples=2, noise=0)
    before, after = (cv2.cvtColor(scene.frame(i)[0], cv2.COLOR_RGB2GRAY).astype(np.float32) for i in (0, 4))
    moved = 0.16 * 144 * 4 / 24  # pixels in four frames
    shifts = moved + np.array([-1, -0.5, 0, 0.5, 1])
    back = [cv2.warpAffine(after, np.float64([[1, 0, shift], [0, 1, 0]]), (256, 144)) for shift in shifts]
    bricks = np.s_[80:112, 110:200]  # not occluded by people
    errors = [np.abs(before[bricks] - image[bricks]).mean() for image in back]
    assert np.argmin(errors) == 2
    assert errors[2] < 3


def test_the_street_is_periodic():
    backdrop = Backdrop((36, 64), seed=1)
    np.testing.assert_array_equal(backdrop.layers[-1].window(0, 64)[0], backdrop.layers[-1].window(128, 64)[0])
