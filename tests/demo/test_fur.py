"""The furry animal of the demo: its frames are reproducible mixtures by its matte."""

from dataclasses import replace

import numpy as np

from dreaming.demo.clip_writer import write_demo
from dreaming.demo.fur import FurryScene
from dreaming.demo.scene import DemoScene
from dreaming.io.frame_folder import FrameFolder

SCENE = FurryScene(frames=6, height=48, width=80, samples=2, noise=0.0)


def test_frames_are_mixtures_of_the_animal_and_the_street():
    image, mask = SCENE.frame(3)
    again = replace(SCENE)
    assert again.animal(1)[1].shape == (48, 80)
    np.testing.assert_array_equal(again.frame(3)[0], image)
    colours, matte = SCENE.animal(3)
    np.testing.assert_array_equal(matte >= 0.5, mask)
    assert matte.min() == 0
    assert matte.max() == 1
    soft = (matte > 0) & (matte < 1)
    assert soft.mean() > 0.05, "hair"
    np.testing.assert_allclose(image[matte == 1], colours[matte == 1], atol=0.51)
    behind = (image[soft] - colours[soft] * matte[soft, None]) / (1 - matte[soft, None])
    thin = matte[soft] < 0.5
    assert behind[thin].min() >= -2
    assert behind[thin].max() <= 257


def test_the_animal_walks_and_its_hair_sways():
    first, second = SCENE.matte(0), SCENE.matte(5)
    assert 0.02 < (first > 0.5).mean() < 0.5
    assert np.abs(first - second).mean() > 0.01


def test_its_clip_has_true_mattes(tmp_path):
    write_demo(replace(SCENE, frames=2), tmp_path / "fur", masks=1, keyframes=0, painter="ink")
    mattes = FrameFolder(tmp_path / "fur" / "truth" / "alpha")
    np.testing.assert_allclose(mattes.read_matte("0002"), SCENE.matte(1), atol=1e-5)
    write_demo(
        DemoScene(frames=2, height=32, width=32, samples=1), tmp_path / "dance", masks=1, keyframes=0, painter="ink"
    )
    assert not (tmp_path / "dance" / "truth" / "alpha").exists()
