"""The written demo clip: complete folders, and a video with all frames and the sound in sync."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from dreaming.clip.clip import Clip
from dreaming.clip.config import Layer
from dreaming.demo.clip_writer import write_demo
from dreaming.demo.painter import paint
from dreaming.demo.painters import PAINTERS
from dreaming.demo.scene import DemoScene
from dreaming.io.frame_folder import FrameFolder

SMALL = DemoScene(frames=10, height=72, width=128, samples=2)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip") / "demo"
    write_demo(SMALL, folder, masks=4, keyframes=2)
    return folder


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


def test_a_background_is_a_layer_of_its_own(tmp_path: Path):
    write_demo(replace(SMALL, frames=2), tmp_path / "two", masks=1, keyframes=1, painter="gold", background="chalk")
    clip = Clip(tmp_path / "two")
    assert clip.layers == [Layer("background"), Layer("dancer", part="subject")]
    image, _ = SMALL.frame(0)
    for layer, painter in zip(clip.layers, ("chalk", "gold"), strict=True):
        expected = PAINTERS[painter](image, 0)
        np.testing.assert_array_equal(clip.keyframe_folder(layer).read("0001"), expected)
        np.testing.assert_array_equal(FrameFolder(tmp_path / "two/truth/styled" / layer.name).read("0001"), expected)


def test_odd_sizes_are_kept(tmp_path: Path):
    write_demo(replace(SMALL, frames=2, height=71, width=127), tmp_path / "odd", masks=9, keyframes=1)
    with av.open(tmp_path / "odd" / "source.mp4") as container:
        shapes = [frame.to_ndarray(format="rgb24").shape for frame in container.decode(video=0)]
    assert shapes == [(71, 127, 3)] * 2
    assert FrameFolder(tmp_path / "odd" / "hand_masks").stems == ["0001", "0002"]
