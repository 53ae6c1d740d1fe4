"""People move smoothly."""

import cv2
import numpy as np

from dreaming.demo.scene import DemoScene


def test_motion_is_smooth_enough_for_optical_flow():
    scene = DemoScene(frames=48, height=144, width=256, samples=2)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    rows, columns = np.mgrid[0:144, 0:256].astype(np.float32)
    for index in (5, 20, 33, 46):
        (before, mask), (after, next_mask) = scene.frame(index), scene.frame(index + 1)
        field = flow.calc(cv2.cvtColor(before, cv2.COLOR_RGB2GRAY), cv2.cvtColor(after, cv2.COLOR_RGB2GRAY), None)
        warped = cv2.remap(
            next_mask.astype(np.float32), columns + field[..., 0], rows + field[..., 1], cv2.INTER_LINEAR
        )
        overlap = ((warped > 0.5) & mask).sum() / ((warped > 0.5) | mask).sum()
        assert overlap > 0.8


def test_the_dancer_never_jumps():
    scene = DemoScene(frames=48, height=72, width=128, samples=2)
    centres = np.array([np.argwhere(scene.frame(index)[1]).mean(axis=0) for index in range(48)])
    assert np.abs(np.diff(centres, axis=0)).max() < 3  # pixels per frame
    assert np.abs(np.diff(centres[:, 1], n=2)).max() < 0.7
    assert np.ptp(centres[:, 1]) > 0.3 * 128, "she crosses the image"
