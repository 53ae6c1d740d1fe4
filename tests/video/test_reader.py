"""Metadata, times and numbers of the frames of videos in many formats."""

from fractions import Fraction

import av
import numpy as np
import PIL.Image
import pytest
from drawn_video import SCENE, VIDEOS, corners, film, scene, warnings
from hypothesis import given, settings
from hypothesis import strategies as st

from dreaming.errors import VideoError
from dreaming.video.reader import probe, read_frames


@pytest.fixture(scope="module", params=VIDEOS)
def video(request, tmp_path_factory):
    return film(tmp_path_factory.mktemp("videos") / request.param, **VIDEOS[request.param])


def test_probe_agrees_with_decoding(video):
    source = probe(video)
    found = list(read_frames(video))
    assert [number for number, _ in found] == list(range(1, 13))
    assert source.count == 12
    assert {image.shape for _, image in found} == {(*source.size, 3)}
    assert source.sound == ("sound" in VIDEOS[video.name])
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert source.times == tuple(frame.pts * stream.time_base for frame in container.decode(stream))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_frames_before_the_first_key_frame_are_not_counted(tmp_path, codec):
    """A video cut without decoding starts between key frames, or with frames that reference what was cut away."""
    x265 = "log-level=none:keyint=8:min-keyint=8:open-gop=1:bframes=3"
    options = {"g": "8", "bf": "3"} if codec == "libx264" else {"x265-params": x265, "preset": "fast"}
    whole, path = film(tmp_path / "whole.mkv", codec, pts=range(30), options=options), tmp_path / "cut.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        keys = 0
        for number, packet in enumerate(source.demux(video=0)):
            keys += packet.is_keyframe
            if packet.dts is not None and (number >= 3 if codec == "libx264" else keys > 1):
                packet.stream = stream
                output.mux(packet)
    found = [number for number, _ in read_frames(path)]
    assert 10 < len(found) < 30
    assert probe(path).count == len(found)


def test_frames_have_the_encoded_colours(video):
    tolerance = 60 if video.suffix == ".gif" else 10  # a gif of 256 fixed colours, dithered
    for _, image in read_frames(video, every=5):
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert np.abs(corners(image) - SCENE).max() <= tolerance


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return film(tmp_path_factory.mktemp("plain") / "plain.mp4", options={"crf": "1"})


def test_variable_frame_times_are_exact(tmp_path):
    pts = [0, 3, 4, 10, 11, 30]
    source = probe(film(tmp_path / "phone.mp4", pts=pts, base=Fraction(1, 600)))
    assert [time * 600 for time in source.times] == pts


@settings(max_examples=40, deadline=None)
@given(start=st.integers(1, 12), length=st.none() | st.integers(0, 15), every=st.integers(1, 14))
def test_skipping_keeps_the_numbers_of_the_frames(plain, start, length, every):
    end = None if length is None else start + length
    found = dict(read_frames(plain, start=start, end=end, every=every))
    assert list(found) == list(range(start, min(end or 12, 12) + 1, every))
    for number, image in found.items():
        marked = (image[2:6, :16].mean(axis=(0, 2)) < 20).sum()
        assert abs(marked - 8 * ((number - 1) % 3)) <= 2


def test_gamma_is_a_power_of_each_value(plain):
    before, after = next(read_frames(plain))[1], next(read_frames(plain, gamma=2.2))[1]
    assert np.array_equal(after, np.rint((before / 255.0) ** 2.2 * 255).astype(np.uint8))


def test_size_averages_when_shrinking_and_can_enlarge(plain):
    before = next(read_frames(plain))[1]
    half = next(read_frames(plain, size=(24, 32)))[1]
    mean = before.reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - mean).max() <= 0.5
    assert next(read_frames(plain, size=(96, 100)))[1].shape == (96, 100, 3)


def test_frames_are_decoded_lazily(plain):
    frames = read_frames(plain)
    assert next(frames)[0] == 1
    frames.close()


def test_a_start_after_the_last_frame_is_refused(plain):
    with pytest.raises(VideoError) as refused:
        list(read_frames(plain, start=13))
    assert refused.value.where == str(plain)


def transparent(number):
    """RGBA with an opaque, a half transparent and a hidden part."""
    image = np.zeros((48, 64, 4), np.uint8)
    image[..., :3] = 10, 200, 30  # hidden
    image[8:24, 8 + number : 40 + number] = 220, 40, 30, 255
    image[28:44, 8:56] = 40, 60, 250, 128
    return image


ALPHA = {
    "vp9.webm": ("libvpx-vp9", "yuva420p", {"deadline": "realtime", "crf": "5", "b": "0"}),
    "vp8.webm": ("libvpx", "yuva420p", {"auto-alt-ref": "0", "crf": "5", "b": "2M"}),
    "prores.mov": ("prores_ks", "yuva444p10le", {"profile": "4444"}),
    "qtrle.mov": ("qtrle", "argb", {}),
    "png.mov": ("png", "rgba", {}),
    "a.apng": ("apng", "rgba", {}),
    "ffv1.mkv": ("ffv1", "bgra", {}),
}


@pytest.mark.parametrize("name", ALPHA)
def test_transparency_is_kept_and_hidden_colours_are_black(tmp_path, name):
    codec, pix_fmt, options = ALPHA[name]
    path = tmp_path / name
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 48, 64, pix_fmt
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(transparent(number), format="rgba").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    found = [image for _, image in read_frames(path)]
    assert len(found) == 4
    for number, image in enumerate(found):
        assert image.shape == (48, 64, 4)
        for row, column, expected in (
            (16, 24 + number, (220, 40, 30, 255)),
            (36, 32, (20, 30, 125, 128)),
            (2, 2, (0, 0, 0, 0)),
        ):
            assert np.abs(image[row, column].astype(int) - expected).max() <= 8, (number, row)


def test_frames_of_another_size_are_scaled_with_a_warning(tmp_path, caplog):
    parts = [film(tmp_path / f"{size[0]}.ts", size=size, pts=range(5)) for size in ((48, 64), (96, 128))]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    found = list(read_frames(path))
    assert {image.shape for _, image in found} == {(48, 64, 3)}
    assert len(found) == probe(path).count == 10
    assert np.abs(corners(found[-1][1]) - SCENE).max() <= 20
    assert (path, 5, 64, 48) in warnings(caplog)


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv"])
def test_a_late_start_does_not_decode_what_precedes_it(tmp_path, caplog, name):
    path = film(tmp_path / name, pts=range(100), options={"g": "10", "bf": "2"})
    whole = dict(read_frames(path))
    source = probe(path)
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data, position = bytearray(path.read_bytes()), 0
    for packet in packets[:50]:
        position = data.index(packet, position)
        data[position + 5 : position + len(packet)] = bytes(len(packet) - 5)
    path.write_bytes(data)
    caplog.clear()
    for number, image in read_frames(path, source, start=85, every=5):
        np.testing.assert_array_equal(image, whole[number])
    assert not warnings(caplog)


def test_the_last_frame_of_a_gif_keeps_its_duration(tmp_path):
    images = [PIL.Image.fromarray(scene(16, 32, number)) for number in range(3)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=[100, 100, 900])
    source = probe(tmp_path / "a.gif")
    assert source.times[1] == Fraction(1, 10)
    assert source.timing([1, 2, 3]).duration == Fraction(9, 10)


@pytest.mark.parametrize("later", [7, 5000])
def test_recordings_joined_with_different_clocks_are_refused(tmp_path, later):
    parts = [
        film(tmp_path / f"{first}.ts", pts=range(first * 25, first * 25 + 12), options={"bf": "0"}).read_bytes()
        for first in (100, later)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    with pytest.raises(VideoError) as refused:
        probe(path)
    assert refused.value.where == str(path)


@pytest.mark.parametrize(
    ("aspect", "width"), [(Fraction(2), 128), (Fraction(1, 2), 32), (Fraction(1, 64), 64), (Fraction(12), 64)]
)
def test_pixels_of_absurd_proportions_are_square_with_a_warning(tmp_path, caplog, aspect, width):
    path = film(tmp_path / "a.mkv", stream={"sample_aspect_ratio": aspect}, pts=range(2))
    assert next(read_frames(path, probe(path)))[1].shape == (48, width, 3)
    assert warnings(caplog) == ([] if width != 64 else [(path, aspect)])
