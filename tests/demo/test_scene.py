"""The demo scene: reproducible frames, masks of the dancer only, sound in sync, and the written clip."""

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dreaming.cli.validation import find_problem, parameters_of
from dreaming.demo.scene import DemoScene, write_demo
from dreaming.io.frame_folder import FrameFolder
from dreaming.demo.painter import paint

SMALL = DemoScene(frames=10, height=72, width=128, samples=2)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip") / "demo"
    write_demo(SMALL, folder, masks=4, keyframes=2)
    return folder


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


def test_the_clip_is_complete(demo: Path):
    every = [f"{i:04d}" for i in range(1, 11)]
    assert FrameFolder(demo / "hand_masks").stems == ["0001", "0004", "0007", "0010"]
    assert FrameFolder(demo / "keyframes" / "painted").stems == ["0004", "0007"]
    assert FrameFolder(demo / "truth" / "masks").stems == every
    assert FrameFolder(demo / "truth" / "styled").stems == every
    image, mask = SMALL.frame(3)
    np.testing.assert_array_equal(FrameFolder(demo / "hand_masks").read_mask("0004"), mask)
    np.testing.assert_array_equal(FrameFolder(demo / "truth" / "masks").read_mask("0004"), mask)
    np.testing.assert_array_equal(FrameFolder(demo / "keyframes" / "painted").read("0004"), paint(image))
    np.testing.assert_array_equal(FrameFolder(demo / "truth" / "styled").read("0004"), paint(image))


def test_the_video_has_all_frames_and_the_sound(demo: Path):
    with av.open(demo / "source.mp4") as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert video.average_rate == 24
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video)]
    assert len(images) == SMALL.frames
    for index, image in enumerate(images):
        assert np.abs(image.astype(int) - SMALL.frame(index)[0]).mean() < 6
    with av.open(demo / "source.mp4") as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    expected, _ = SMALL.sound()
    assert sound.shape[1] == pytest.approx(len(expected), abs=2 * 1024)  # whole AAC frames
    heard = sound[0, : len(expected)]
    assert np.corrcoef(heard, expected[: len(heard), 0])[0, 1] > 0.9, "in sync"


def test_odd_sizes_are_kept(tmp_path: Path):
    write_demo(replace(SMALL, frames=2, height=71, width=127), tmp_path / "odd", masks=9, keyframes=1)
    with av.open(tmp_path / "odd" / "source.mp4") as container:
        shapes = [frame.to_ndarray(format="rgb24").shape for frame in container.decode(video=0)]
    assert shapes == [(71, 127, 3)] * 2
    assert FrameFolder(tmp_path / "odd" / "hand_masks").stems == ["0001", "0002"]


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
