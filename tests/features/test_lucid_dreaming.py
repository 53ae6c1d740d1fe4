"""Synthetic scenes: separation of subject and background, changes of each, and compositing."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from dreaming.features.lucid_dreaming import SceneChange, SyntheticScene

STILL = SceneChange(shift=0, rotation=0, zoom=0, elastic_std=0)


@pytest.fixture
def frame():
    """A red square of 20 x 30 pixels on a green ramp."""
    rows, columns = np.mgrid[:60, :90]
    image = np.dstack([np.zeros_like(rows), columns + 100, np.zeros_like(rows)]).astype(np.uint8)
    mask = np.zeros((60, 90), bool)
    mask[20:40, 30:60] = True
    image[mask] = (200, 0, 0)
    return image, mask


def test_the_background_is_inpainted_behind_the_subject(frame):
    scene = SyntheticScene.from_frame(*frame)
    behind = scene.background[frame[1]] * 255
    assert behind[:, 0].max() < 5
    columns = np.nonzero(frame[1])[1]
    assert np.abs(behind[:, 1] - (columns + 100)).mean() < 12


def test_without_changes_the_frame_is_reproduced(frame):
    image, mask = frame
    scene = SyntheticScene.from_frame(image, mask).changed(STILL, STILL, np.random.default_rng(0))
    assert (scene.mask == mask).all()
    made, core = scene.composite(), ndimage.binary_erosion(mask, iterations=4)
    rim = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert np.abs(made[core].astype(int) - image[core]).max() <= 1
    assert np.abs(made[~rim].astype(int) - image[~rim]).max() <= 1


def test_subject_and_mask_move_together(frame):
    scene = SyntheticScene.from_frame(*frame)
    change = SceneChange(shift=0.2, rotation=10, zoom=0.1, elastic_std=0.02)
    moved = [scene.changed(change, STILL, np.random.default_rng(seed)) for seed in range(8)]
    assert len({made.mask.tobytes() for made in moved}) == 8
    for made in moved:
        red = made.composite()[..., 0] > 100
        assert (red == made.mask).mean() > 0.995


def test_size_and_position_follow_the_change(frame):
    image, mask = frame
    scene = SyntheticScene.from_frame(image, mask)

    def area(zoom, seed):
        change = SceneChange(shift=0, rotation=0, zoom=zoom, elastic_std=0)
        return scene.changed(change, STILL, np.random.default_rng(seed)).mask.sum()

    drawn = np.array([area(0.2, seed) for seed in range(40)]) / mask.sum()
    assert np.log(drawn).std() == pytest.approx(2 * 0.2, rel=0.35)
    shift = SceneChange(shift=0.1, rotation=0, zoom=0, elastic_std=0)
    centres = [
        np.nonzero(scene.changed(shift, STILL, np.random.default_rng(seed)).mask)[1].mean() for seed in range(40)
    ]
    assert np.std(centres) == pytest.approx(0.1 * np.sqrt(mask.sum()), rel=0.4)


def test_a_subject_that_would_leave_the_frame_stays(frame):
    far = SceneChange(shift=500, rotation=0, zoom=0, elastic_std=0)
    made = SyntheticScene.from_frame(*frame).changed(far, STILL, np.random.default_rng(0))
    assert (made.mask == frame[1]).all()


def test_colour_jitter_changes_each_layer_separately(frame):
    image, mask = frame
    jitter = SceneChange(shift=0, rotation=0, zoom=0, elastic_std=0, color_jitter=0.3)
    made = SyntheticScene.from_frame(image, mask).changed(jitter, STILL, np.random.default_rng(3)).composite()
    assert np.abs(made[mask].astype(int) - image[mask]).max() > 10
    away = ~(cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)
    assert np.abs(made[away].astype(int) - image[away]).max() <= 1
