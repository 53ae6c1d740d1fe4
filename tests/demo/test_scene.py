"""The demo scene: reproducible frames, masks of the dancer only, sound in sync."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dreaming.demo.scene import DemoScene
from dreaming.instantiation.validation import find_problem, parameters_of

SMALL = DemoScene(frames=10, height=72, width=128, samples=2)


def test_frames_are_reproducible_in_any_order():
    first, again = replace(SMALL), replace(SMALL)
    forwards = [first.frame(i) for i in (0, 3, 7)]
    backwards = [again.frame(i) for i in (7, 3, 0)][::-1]
    for (image, mask), (other_image, other_mask) in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(image, other_image)
        np.testing.assert_array_equal(mask, other_mask)
    np.testing.assert_array_equal(first.sound()[0], again.sound()[0])


def test_another_seed_changes_images_and_music():
    other = replace(SMALL, seed=8)
    assert np.abs(SMALL.frame(3)[0].astype(int) - other.frame(3)[0]).mean() > 3
    assert (SMALL.sound()[0] != other.sound()[0]).mean() > 0.5


@pytest.mark.parametrize(("height", "width"), [(72, 128), (71, 127), (128, 72), (90, 90), (48, 128)])
def test_every_size_shows_the_whole_dancer(height: int, width: int):
    scene = DemoScene(frames=40, height=height, width=width, samples=2)
    for index in range(0, 40, 13):
        image, mask = scene.frame(index)
        assert image.shape == (height, width, 3)
        assert image.dtype == np.uint8
        assert mask.shape == (height, width)
        assert mask.dtype == np.bool_
        assert 0.02 < mask.mean() < 0.4
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert not border.any(), "she is cut off at the border"


def test_the_dancer_stays_in_view_in_a_long_clip():
    scene = replace(SMALL, frames=2000)
    for index in (97, 480, 1001, 1999):
        assert 0.02 < scene.frame(index)[1].mean() < 0.4


def test_mask_is_true_where_half_of_the_pixel_is_covered():
    _, mask = DemoScene(height=36, width=64).frame(9)
    _, magnified = DemoScene(height=36 * 16, width=64 * 16, samples=1).frame(9)
    covered = magnified.reshape(36, 16, 64, 16).mean(axis=(1, 3))
    assert not mask[covered < 0.4].any()
    assert mask[covered > 0.6].all()
    assert ((covered > 0.4) & (covered < 0.6)).mean() < 0.05, "few pixels are left undecided"


def test_the_mask_excludes_the_passer_by():
    scene = DemoScene(height=72, width=128, noise=0)
    image, mask = scene.frame(18)  # both wear red, side by side
    hue, saturation, _ = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    red = ((hue > 168) | (hue < 3)) & (saturation > 120)
    assert (red & mask).sum() > 100
    assert (red & ~mask).sum() > 100
    _, _, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    assert (boxes[1:, cv2.CC_STAT_AREA] > 20).sum() == 1, "one connected figure"


@pytest.mark.parametrize(("frames", "fps"), [(48, 24), (7, 30), (1, 25)])
def test_the_sound_has_the_clip_s_duration(frames: int, fps: int):
    samples, rate = DemoScene(frames=frames, fps=fps).sound()
    assert samples.dtype == np.int16
    assert samples.shape == (round(frames * rate / fps), 2)
    assert rate == 44_100
    assert 3_000 < np.abs(samples.astype(int)).max() <= 32_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frames", 0),
        ("height", 31),
        ("width", 31),
        ("fps", 0),
        ("seed", -1),
        ("samples", 0),
        ("noise", -1),
    ],
)
def test_values_out_of_range_do_not_fit(name, value):
    assert find_problem(value, parameters_of(DemoScene).hints[name])
