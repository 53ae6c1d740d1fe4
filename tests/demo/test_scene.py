from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dreaming.errors import ConfigError
from dreaming.demo.scene import DemoScene, write_demo
from dreaming.io.frame_folder import FrameFolder
from dreaming.demo.painter import paint

SMALL = DemoScene(frames=10, height=72, width=128, samples=2)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip") / "demo"
    write_demo(SMALL, folder, masks=4, keyframes=2)
    return folder


def test_same_seed_draws_the_same_in_any_order():
    first, again = replace(SMALL), replace(SMALL)
    forwards = [first.frame(i) for i in (0, 3, 7)]
    backwards = [again.frame(i) for i in (7, 3, 0)][::-1]
    for (image, mask), (other_image, other_mask) in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(image, other_image)
        np.testing.assert_array_equal(mask, other_mask)
    np.testing.assert_array_equal(first.sound()[0], again.sound()[0])


def test_another_seed_draws_another_picture_and_tune():
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
        assert not border.any(), "she is cut off at the edge"


def test_a_long_clip_never_loses_the_dancer():
    scene = replace(SMALL, frames=2000)
    for index in (97, 480, 1001, 1999):
        assert 0.02 < scene.frame(index)[1].mean() < 0.4


def test_mask_is_true_where_half_of_the_pixel_is_covered():
    _, mask = DemoScene(height=36, width=64).frame(9)
    _, magnified = DemoScene(height=36 * 16, width=64 * 16, samples=1).frame(9)
    covered = magnified.reshape(36, 16, 64, 16).mean(axis=(1, 3))
    assert not mask[covered < 0.4].any()
    assert mask[covered > 0.6].all()
    assert ((covered > 0.4) & (covered < 0.6)).mean() < 0.05, "hardly any pixel is left undecided"


def test_mask_is_the_dancer_and_not_the_passer_by():
    scene = DemoScene(height=72, width=128, noise=0)
    image, mask = scene.frame(18)  # the two are side by side, both wearing red
    hue, saturation, _ = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    red = ((hue > 168) | (hue < 3)) & (saturation > 120)
    assert (red & mask).sum() > 100
    assert (red & ~mask).sum() > 100
    _, _, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    assert (boxes[1:, cv2.CC_STAT_AREA] > 20).sum() == 1, "one connected figure"


def test_motion_is_smooth_enough_for_optical_flow():
    scene = DemoScene(frames=48, height=144, width=256, samples=2)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    rows, columns = np.mgrid[0:144, 0:256].astype(np.float32)
    for index in (5, 20, 33, 46):
        (before, mask), (after, next_mask) = scene.frame(index), scene.frame(index + 1)
        field = flow.calc(cv2.cvtColor(before, cv2.COLOR_RGB2GRAY), cv2.cvtColor(after, cv2.COLOR_RGB2GRAY), None)
        carried = cv2.remap(
            next_mask.astype(np.float32), columns + field[..., 0], rows + field[..., 1], cv2.INTER_LINEAR
        )
        overlap = ((carried > 0.5) & mask).sum() / ((carried > 0.5) | mask).sum()
        assert overlap > 0.8


def test_the_dancer_never_jumps():
    scene = DemoScene(frames=48, height=72, width=128, samples=2)
    places = np.array([np.argwhere(scene.frame(index)[1]).mean(axis=0) for index in range(48)])
    assert np.abs(np.diff(places, axis=0)).max() < 3  # pixels a frame
    assert np.abs(np.diff(places[:, 1], n=2)).max() < 0.7
    assert np.ptp(places[:, 1]) > 0.3 * 128, "she crosses the picture"


def test_backdrop_pans_to_the_left():
    scene = DemoScene(height=144, width=256, samples=2, noise=0)
    before, after = (cv2.cvtColor(scene.frame(i)[0], cv2.COLOR_RGB2GRAY).astype(np.float32) for i in (0, 4))
    moved = 0.16 * 144 * 4 / 24  # pixels in four frames
    shifts = moved + np.array([-1, -0.5, 0, 0.5, 1])
    back = [cv2.warpAffine(after, np.float64([[1, 0, shift], [0, 1, 0]]), (256, 144)) for shift in shifts]
    bricks = np.s_[80:112, 110:200]  # nobody before them
    errors = [np.abs(before[bricks] - picture[bricks]).mean() for picture in back]
    assert np.argmin(errors) == 2
    assert errors[2] < 3


@pytest.mark.parametrize(("frames", "fps"), [(48, 24), (7, 30), (1, 25)])
def test_sound_is_as_long_as_the_pictures(frames: int, fps: int):
    samples, rate = DemoScene(frames=frames, fps=fps).sound()
    assert samples.dtype == np.int16
    assert samples.shape == (round(frames * rate / fps), 2)
    assert rate == 44_100
    assert 3_000 < np.abs(samples.astype(int)).max() <= 32_000


@pytest.mark.parametrize(
    "wrong", [{"frames": 0}, {"height": 8}, {"width": 0}, {"fps": 0}, {"samples": 0}, {"seed": -1}]
)
def test_impossible_scenes_are_refused(wrong: dict[str, int]):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}: found {next(iter(wrong.values()))}"):
        DemoScene(**wrong)


def test_paint_is_deterministic_and_follows_the_picture():
    image = DemoScene(height=72, width=128, samples=2).frame(3)[0]
    before = image.copy()
    painted = paint(image)
    assert painted.shape == image.shape
    assert painted.dtype == np.uint8
    np.testing.assert_array_equal(painted, paint(image))
    np.testing.assert_array_equal(image, before)
    # Without the weave, which stays in place, a shifted picture gives a shifted painting away from the borders.
    shifted = paint(np.roll(image, 7, axis=1), canvas=0)
    still = paint(image, canvas=0)
    difference = np.abs(np.roll(still, 7, axis=1).astype(int) - shifted)[20:-20, 30:-30]
    assert np.median(difference) <= 1
    assert difference.mean() < 2
    assert 8 < np.abs(painted.astype(int) - image).mean() < 60, "painted, yet the same picture"


def test_paint_keeps_a_plain_surface_plain_but_for_the_canvas():
    plain = np.full((60, 80, 3), (120, 90, 60), np.uint8)
    assert np.ptp(paint(plain, canvas=0), axis=(0, 1)).max() == 0
    assert 2 <= np.ptp(paint(plain), axis=(0, 1)).max() <= 12


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 3, 3), (33, 200, 3)])
def test_paint_takes_any_size(shape: tuple[int, int, int]):
    assert paint(np.random.default_rng(0).integers(0, 256, shape, np.uint8)).shape == shape


def test_demo_writes_what_a_user_would_have(demo: Path):
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


def test_demo_video_holds_all_frames_and_the_sound(demo: Path):
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
    assert np.corrcoef(heard, expected[: len(heard), 0])[0, 1] > 0.9, "the sound starts with the pictures"


def test_demo_of_odd_size_keeps_its_size(tmp_path: Path):
    write_demo(replace(SMALL, frames=2, height=71, width=127), tmp_path / "odd", masks=9, keyframes=1)
    with av.open(tmp_path / "odd" / "source.mp4") as container:
        shapes = [frame.to_ndarray(format="rgb24").shape for frame in container.decode(video=0)]
    assert shapes == [(71, 127, 3)] * 2
    assert FrameFolder(tmp_path / "odd" / "hand_masks").stems == ["0001", "0002"]
