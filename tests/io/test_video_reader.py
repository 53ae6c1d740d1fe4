"""Frames, colours, orientation and times of videos in many formats; errors for damaged ones."""

import logging
import re
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreaming.errors import VideoError
from dreaming.io.video_reader import probe, read_frames

SCENE = ((200, 60, 30), (30, 90, 210), (60, 200, 90), (240, 240, 240))  # top left, top right, bottom left, right


def scene(height, width, number=0):
    """Four flat corners; a black bar of 0, 8 or 16 columns marks the frame's number."""
    image = np.zeros((height, width, 3), np.uint8)
    for corner, colour in enumerate(SCENE):
        rows = slice(0, height // 2) if corner < 2 else slice(height // 2, None)
        columns = slice(0, width // 2) if corner % 2 == 0 else slice(width // 2, None)
        image[rows, columns] = colour
    image[:8, : 8 * (number % 3)] = 0
    return image


def film(path, codec="libx264", pix_fmt="yuv420p", *, size=(48, 64), pts=range(12), base=Fraction(1, 25), **more):
    """A video of ``scene``; ``more``: options, muxer, stream (attributes), turn (degrees), sound (codec)."""
    with av.open(str(path), "w", options=more.get("muxer", {})) as output:
        stream = output.add_stream(codec, rate=1 / base, options=more.get("options", {}))
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = base
        for name, value in more.get("stream", {}).items():
            setattr(stream.codec_context, name, value)
        if "turn" in more:
            stream.set_display_rotation(*more["turn"])
        sound = output.add_stream(more["sound"], rate=48000, layout="mono") if "sound" in more else None
        for number, time in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(scene(*size, number))
            frame = frame.reformat(format=pix_fmt, **more.get("convert", {}))
            frame.pts, frame.time_base = time, base
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
        if sound is not None:
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 24000), np.float32), format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 48000, 0
            context = sound.codec_context
            resampler = av.AudioResampler(context.format, context.layout, 48000, context.frame_size or 1024)
            for part in [*resampler.resample(samples), *resampler.resample(None), None]:
                output.mux(sound.encode(part))
    return path


def corners(image):
    height, width = image.shape[:2]
    rows, columns = (height // 4 + 2, height * 3 // 4), (width // 4 + 2, width * 3 // 4)
    return np.array([image[row, column] for row in rows for column in columns], int)


VIDEOS = {
    "h264.mp4": {"sound": "aac"},
    "bframes.mov": {"options": {"bf": "3"}},
    "h264.mkv": {"sound": "libopus"},
    "odd10.mkv": {"codec": "ffv1", "pix_fmt": "yuv420p10le", "size": (47, 63)},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}, "sound": "libopus"},
    "vp8.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "8", "cpu-used": "8"}},
    "hevc10.mp4": {
        "codec": "libx265",
        "pix_fmt": "yuv420p10le",
        "options": {"x265-params": "log-level=none:crf=10", "preset": "ultrafast"},
    },
    "rgb8.gif": {"codec": "gif", "pix_fmt": "rgb8", "base": Fraction(1, 20)},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "h264.ts": {},
}


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


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv444p10le"])
@pytest.mark.parametrize("limits", ["MPEG", "JPEG"])
@pytest.mark.parametrize(("matrix", "tag"), [("ITU709", 1), ("ITU601", 6), ("BT2020", 9)])
def test_range_and_matrix_of_the_file_are_used(tmp_path, pix_fmt, limits, matrix, tag):
    path = film(
        tmp_path / "tagged.mkv",
        "libx264",
        pix_fmt,
        pts=[0],
        options={"crf": "1"},
        convert={"dst_colorspace": matrix, "dst_color_range": limits},
        stream={"colorspace": tag, "color_range": 1 if limits == "MPEG" else 2},
    )
    ((_, image),) = read_frames(path)
    assert np.abs(corners(image) - SCENE).max() <= 3


@pytest.mark.parametrize(("size", "matrix"), [((48, 64), "ITU601"), ((592, 64), "ITU709"), ((16, 1280), "ITU709")])
def test_without_a_matrix_that_of_players_is_used(tmp_path, size, matrix):
    path = film(tmp_path / "unnamed.mp4", size=size, pts=[0], options={"crf": "1"}, convert={"dst_colorspace": matrix})
    ((_, image),) = read_frames(path)
    assert np.abs(corners(image) - SCENE)[1:].max() <= 6  # the other matrix is off by more than 20


@pytest.mark.parametrize(
    ("turn", "clockwise", "upright"),
    [
        ((0,), 0, lambda image: image),
        ((90,), 270, lambda image: np.rot90(image)),
        ((180,), 180, lambda image: np.rot90(image, 2)),
        ((-90,), 90, lambda image: np.rot90(image, -1)),
        ((0, True), 0, lambda image: image[:, ::-1]),
    ],
)
def test_rotated_videos_give_upright_frames(tmp_path, turn, clockwise, upright):
    path = film(tmp_path / "phone.mov", turn=turn)
    source = probe(path)
    frames = [image for _, image in read_frames(path)]
    expected = upright(scene(48, 64))
    assert source.size == frames[0].shape[:2] == expected.shape[:2]
    if len(turn) == 1:
        assert source.rotation == clockwise
    for image in frames:
        assert np.abs(corners(image) - corners(expected)).max() <= 20
        assert np.abs(image.astype(int) - expected).mean() < 20


def test_non_square_pixels_are_resampled(tmp_path):
    path = film(tmp_path / "dv.mp4", stream={"sample_aspect_ratio": Fraction(3, 2)})
    assert probe(path).size == (48, 96)
    assert next(read_frames(path))[1].shape == (48, 96, 3)


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


def test_an_hdr_video_causes_a_warning(tmp_path, caplog):
    path = film(tmp_path / "hlg.mkv", "ffv1", "yuv420p10le", pts=[0], stream={"color_trc": 18, "colorspace": 9})
    probe(path)
    ((level, arguments),) = [(record.levelno, record.args) for record in caplog.records]
    assert (level, arguments) == (logging.WARNING, (path,))


def test_a_start_after_the_last_frame_is_refused(plain):
    with pytest.raises(VideoError) as refused:
        list(read_frames(plain, start=13))
    assert refused.value.where == str(plain)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(VideoError) as refused:
        probe(tmp_path / "absent.mp4")
    assert refused.value.where == str(tmp_path / "absent.mp4")


@pytest.mark.parametrize("name", ["sound.wav", "sound.mp4", "cover.mp3"])
def test_a_file_without_a_video_stream_is_refused(tmp_path, name):
    path = tmp_path / name
    with av.open(str(path), "w") as output:
        sound = output.add_stream({"wav": "pcm_s16le", "mp4": "aac", "mp3": "libmp3lame"}[path.suffix[1:]], rate=48000)
        if name == "cover.mp3":
            cover = output.add_stream("mjpeg", rate=1)
            cover.width, cover.height, cover.pix_fmt, cover.disposition = 32, 16, "yuvj420p", 1024
            output.mux(cover.encode(av.VideoFrame(32, 16, "yuvj420p")))
            output.mux(cover.encode())
        samples = av.AudioFrame.from_ndarray(np.zeros((2, 24000), np.float32), format="fltp", layout="stereo")
        samples.sample_rate, samples.pts = 48000, 0
        context = sound.codec_context
        for part in av.AudioResampler(context.format, context.layout, 48000, context.frame_size or 1024).resample(
            samples
        ):
            output.mux(sound.encode(part))
        output.mux(sound.encode())
    for read in (probe, lambda path: list(read_frames(path))):
        with pytest.raises(VideoError) as refused:
            read(path)
        assert refused.value.where == str(path)
        assert refused.value.expected == "a video stream"


@pytest.mark.parametrize("content", [b"", b"\0" * 1000, b"once upon a time\n" * 50, bytes(range(256)) * 9])
@pytest.mark.parametrize("suffix", [".mp4", ".txt"])
def test_garbage_is_unreadable(tmp_path, content, suffix):
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(content)
    for read in (probe, lambda path: list(read_frames(path))):
        with pytest.raises(VideoError) as refused:
            read(path)
        assert refused.value.where == str(path)


@pytest.fixture(params=["faststart.mp4", "h264.mkv", "rgb8.gif", "vp9.webm", "mpeg4.avi"])
def truncated(request, tmp_path):
    """Three quarters of a video of 40 key frames, so about 30 frames."""
    name = request.param
    more = {**VIDEOS.get(name, {}), "pts": range(40)}
    more["options"] = {**more.get("options", {}), "g": "1", "bf": "0"} if name != "rgb8.gif" else {}
    path = film(tmp_path / name, **more, muxer={"movflags": "+faststart"} if name == "faststart.mp4" else {})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    return path


def test_the_error_of_a_truncated_video_counts_its_readable_frames(truncated):
    read = []
    with pytest.raises(VideoError) as refused:
        read.extend(read_frames(truncated))
    assert 20 <= len(read) <= 36
    assert refused.value.where == str(truncated)
    assert re.findall(r"\d+", refused.value.found) == [str(len(read))]
    with pytest.raises(VideoError) as refused:
        probe(truncated)
    assert 20 <= int(*re.findall(r"\d+", refused.value.found)) <= 36


def test_frames_before_the_cut_are_readable(truncated):
    assert [number for number, _ in read_frames(truncated, end=15)] == list(range(1, 16))


def test_an_mp4_without_its_index_is_unreadable(tmp_path):
    path = film(tmp_path / "plain.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError) as refused:
        probe(path)
    assert refused.value.where == str(path)
