"""Videos that browsers play, with exact times and colours; errors that leave no file behind."""

import logging
import os
import resource
import struct
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreaming.errors import ParameterError, SizeError, SpaceError, VideoError
from dreaming.video.reader import probe, read_frames
from dreaming.video.writer import check_encoder, write_video

COLOURS = [(200, 60, 30), (30, 90, 210), (60, 200, 90), (255, 255, 255), (0, 0, 0), (250, 240, 10), (128, 128, 128)]


def flat(colour, height=48, width=64):
    return np.full((height, width, 3), colour, np.uint8)


FRAMES = [flat(colour) for colour in COLOURS]


def boxes(data):
    """(kind, content) of each box in an ISO media file's bytes."""
    while data:
        length, kind = struct.unpack(">I4s", data[:8])
        yield kind.decode(), data[8:length]
        data = data[length:]


def find(data, *kinds):
    for kind in kinds:
        data = next(content for name, content in boxes(data) if name == kind)
    return data


def test_the_file_suits_browsers(tmp_path):
    path = tmp_path / "new" / "dream.mp4"
    assert write_video(path, FRAMES, fps=25) == len(FRAMES)
    data = path.read_bytes()
    order = [kind for kind, _ in boxes(data)]
    assert order[0] == "ftyp"
    assert order.index("moov") < order.index("mdat")
    description = find(data, "moov", "trak", "mdia", "minf", "stbl", "stsd")[8:]
    entry = find(description, "avc1")
    extensions = dict(boxes(entry[78:]))
    assert extensions["avcC"][1] == 100  # High
    assert extensions["colr"] == b"nclx" + struct.pack(">HHHB", 1, 1, 1, 0)  # BT.709 thrice, limited range
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.pix_fmt, context.profile, context.width, context.height) == ("yuv420p", "High", 64, 48)


def test_flat_colours_are_kept(tmp_path):
    path = tmp_path / "dream.mp4"
    write_video(path, FRAMES, fps=25)
    for (_, image), colour in zip(read_frames(path), COLOURS, strict=True):
        assert np.abs(image.astype(int) - colour).max() <= 3


def test_colours_are_encoded_with_the_declared_matrix(tmp_path):
    path = tmp_path / "dream.mp4"
    write_video(path, FRAMES[:1], fps=25)
    red, green, blue = (value / 255 for value in COLOURS[0])
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue  # ITU-R BT.709
    expected = [16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748]
    with av.open(str(path)) as container:
        planes = [np.frombuffer(plane, np.uint8)[0] for plane in next(container.decode(video=0)).planes]
    assert np.abs(np.array(planes, float) - expected).max() <= 1.5


def test_an_odd_row_and_column_are_repeated(tmp_path):
    path = tmp_path / "odd.mp4"
    image = flat((200, 200, 200), 47, 63)
    image[-1], image[:, -1] = 40, 40
    write_video(path, [image], fps=25, crf=1)
    ((_, found),) = read_frames(path)
    assert found.shape == (48, 64, 3)
    assert np.abs(found[-2:, :].astype(int) - 40).max() < 20
    assert np.abs(found[:, -2:].astype(int) - 40).max() < 20
    assert np.abs(found[:-4, :-4].astype(int) - 200).max() < 20


@settings(max_examples=15, deadline=None)
@given(
    gaps=st.lists(st.integers(1, 5000), min_size=2, max_size=12),
    base=st.sampled_from([Fraction(1, 600), Fraction(1, 1000), Fraction(1001, 30000), Fraction(1, 90000)]),
    first=st.integers(0, 3000),
)
def test_frame_times_are_kept_exactly(tmp_path_factory, gaps, base, first):
    path = tmp_path_factory.mktemp("times") / "dream.mp4"
    times = [(first + sum(gaps[:index])) * base for index in range(len(gaps))]
    write_video(path, [FRAMES[0]] * len(times), times=times, preset="ultrafast")
    assert list(probe(path).times) == [time - times[0] for time in times]
    write_video(path, [FRAMES[0]] * len(times), times=times, begin=Fraction(0), preset="ultrafast")
    assert list(probe(path).times) == times


def test_times_finer_than_an_mp4_can_store_are_rounded_with_a_warning(tmp_path, caplog):
    times = [Fraction(0), Fraction(1, 65537), Fraction(1, 3) + Fraction(1, 65539)]
    write_video(tmp_path / "dream.mp4", FRAMES[:3], times=times)
    assert [(record.levelno, record.args) for record in caplog.records] == [
        (logging.WARNING, (tmp_path / "dream.mp4",))
    ]
    assert max(abs(a - b) for a, b in zip(probe(tmp_path / "dream.mp4").times, times, strict=True)) < 1e-6


@pytest.mark.parametrize(("fps", "rate"), [(12.5, Fraction(25, 2)), (Fraction(30000, 1001), Fraction(30000, 1001))])
def test_fps_without_times_shows_each_frame_once(tmp_path, fps, rate):
    path = tmp_path / "dream.mp4"
    write_video(path, FRAMES, fps=fps)
    assert list(probe(path).times) == [index / rate for index in range(len(FRAMES))]


@pytest.mark.parametrize(
    ("fps", "shown"),
    [
        (10, [0, 0, 0, 1, 1, 3, 4, 4, 4, 4]),  # frame 2 is nearest to no multiple of 0.1 s
        (20, [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4]),
        (2, [0, 4]),
    ],
)
def test_fps_repeats_and_drops_frames_by_their_times(tmp_path, fps, shown):
    path, times = tmp_path / "dream.mp4", [Fraction(time, 100) for time in (700, 725, 745, 748, 760)]
    count = write_video(path, FRAMES[:5], times=times, fps=fps, duration=Fraction(2, 5), crf=5)
    assert count == 5
    assert list(probe(path).times) == [Fraction(index, fps) for index in range(len(shown))]
    for (_, image), index in zip(read_frames(path), shown, strict=True):
        assert np.abs(image.astype(int) - COLOURS[index]).max() <= 6


@pytest.mark.parametrize("options", [{}, {"codec": "libx265", "preset": "ultrafast"}])
def test_the_last_frame_keeps_its_duration(tmp_path, options):
    path, times = tmp_path / "dream.mp4", [Fraction(index, 10) for index in range(7)]
    write_video(path, FRAMES, times=times, duration=Fraction(3, 2), **options)
    assert probe(path).times == tuple(times)
    with av.open(str(path)) as container:
        assert container.duration == 2_100_000


def test_few_frames_are_in_memory_at_a_time(tmp_path):
    alive = 0

    class Frame(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def frames():
        nonlocal alive
        for _ in range(100):
            alive += 1
            assert alive <= 4
            yield FRAMES[0].copy().view(Frame)

    assert write_video(tmp_path / "dream.mp4", frames(), fps=25, preset="ultrafast") == 100


def test_crf_reaches_the_encoder(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), dtype=np.uint8)
    sizes = []
    for crf in (5, 40):
        write_video(tmp_path / "dream.mp4", noise, fps=25, crf=crf)
        sizes.append((tmp_path / "dream.mp4").stat().st_size)
    assert sizes[0] > 2 * sizes[1]


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9", "mpeg4"])
def test_other_encoders_keep_colours_too(tmp_path, codec, caplog):
    path = tmp_path / "dream.mp4"
    check_encoder.cache_clear()
    write_video(path, FRAMES, fps=25, codec=codec, preset="ultrafast" if codec == "libx265" else None)
    for (_, image), colour in zip(read_frames(path), COLOURS, strict=True):
        assert np.abs(image.astype(int) - colour).max() <= 6
    warnings = [record.args for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ([("mpeg4", "crf")] if codec == "mpeg4" else [])


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"codec": "nope"}, "codec"),
        ({"codec": "aac"}, "codec"),
        ({"codec": "gif"}, "codec"),  # it encodes no yuv420p
        ({"codec": "libvpx"}, "codec"),  # mp4 has no VP8
        ({"crf": 77}, "crf"),
        ({"crf": 60}, "crf"),  # beyond the range of libx264
        ({"crf": 0}, "crf"),  # lossless H.264 plays in no browser
        ({"preset": "warp"}, "preset"),
    ],
)
def test_an_encoder_that_cannot_work_is_refused(tmp_path, settings, name):
    with pytest.raises(ParameterError) as refused:
        write_video(tmp_path / "dream.mp4", FRAMES, fps=25, **settings)
    assert refused.value.name == name
    assert all(str(value) in refused.value.found for value in settings.values())
    assert list(tmp_path.iterdir()) == []


def test_frames_of_two_sizes_are_refused(tmp_path):
    with pytest.raises(SizeError, match="frame 2"):
        write_video(tmp_path / "dream.mp4", [flat(0), flat(0, 16, 32)], fps=25)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("frames", "times"), [([], None), (FRAMES[:2], [0, 1, 2]), (FRAMES[:3], [0, 1]), (FRAMES[:2], [1, 1])]
)
def test_frames_and_times_must_match(tmp_path, frames, times):
    times = times and [Fraction(time) for time in times]
    with pytest.raises(VideoError) as refused:
        write_video(tmp_path / "dream.mp4", frames, times=times, fps=None if times else 25)
    assert refused.value.where == str(tmp_path / "dream.mp4")
    assert list(tmp_path.iterdir()) == []


def test_an_error_keeps_the_old_video(tmp_path):
    path = tmp_path / "dream.mp4"
    path.write_bytes(b"old")

    def frames():
        yield FRAMES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(path, frames(), fps=25)
    assert [file.name for file in tmp_path.iterdir()] == ["dream.mp4"]
    assert path.read_bytes() == b"old"


def test_data_reaches_the_disk_before_the_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "a.mp4", []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append((os.fstat(handle), path.exists())))
    write_video(path, [flat((1, 2, 3))], fps=25)
    status, named = synced[0]
    assert (status.st_size, status.st_ino, named) == (path.stat().st_size, path.stat().st_ino, False)


def _write_with_little_room(path):
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    noise = np.random.default_rng(0).integers(0, 256, (20, 96, 128, 3), dtype=np.uint8)
    write_video(path, noise, fps=25, crf=1)


def test_a_full_disk_is_named_as_the_cause(tmp_path):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(SpaceError):
        pool.submit(_write_with_little_room, tmp_path / "dream.mp4").result()
    assert list(tmp_path.iterdir()) == []
