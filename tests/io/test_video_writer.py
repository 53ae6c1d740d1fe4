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

from dreaming.errors import ConfigError, SizeError, SpaceError, VideoError
from dreaming.io.video_reader import probe, read_frames
from dreaming.io.video_writer import write_video

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


def test_a_browser_can_play_it(tmp_path):
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


def test_flat_colours_come_back(tmp_path):
    path = tmp_path / "dream.mp4"
    write_video(path, FRAMES, fps=25)
    for (_, image), colour in zip(read_frames(path), COLOURS, strict=True):
        assert np.abs(image.astype(int) - colour).max() <= 3


def test_colours_are_coded_by_the_matrix_in_the_tag(tmp_path):
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
    times = [(first + sum(gaps[:place])) * base for place in range(len(gaps))]
    write_video(path, [FRAMES[0]] * len(times), times=times, preset="ultrafast")
    assert list(probe(path).times) == [time - times[0] for time in times]
    write_video(path, [FRAMES[0]] * len(times), times=times, begin=Fraction(0), preset="ultrafast")
    assert list(probe(path).times) == times


def test_times_finer_than_an_mp4_can_hold_are_rounded_aloud(tmp_path, caplog):
    times = [Fraction(0), Fraction(1, 65537), Fraction(1, 3) + Fraction(1, 65539)]
    write_video(tmp_path / "dream.mp4", FRAMES[:3], times=times)
    assert "rounded to microseconds" in caplog.text
    assert max(abs(a - b) for a, b in zip(probe(tmp_path / "dream.mp4").times, times, strict=True)) < 1e-6


@pytest.mark.parametrize(("fps", "rate"), [(12.5, Fraction(25, 2)), (Fraction(30000, 1001), Fraction(30000, 1001))])
def test_fps_takes_the_place_of_times(tmp_path, fps, rate):
    path = tmp_path / "dream.mp4"
    write_video(path, FRAMES, times=[Fraction(place) for place in range(len(FRAMES))], fps=fps)
    assert list(probe(path).times) == [place / rate for place in range(len(FRAMES))]


def test_frames_are_taken_one_by_one(tmp_path):
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
def test_other_encoders_do_too(tmp_path, codec, caplog):
    path = tmp_path / "dream.mp4"
    write_video(path, FRAMES, fps=25, codec=codec, preset="ultrafast" if codec == "libx265" else None)
    for (_, image), colour in zip(read_frames(path), COLOURS, strict=True):
        assert np.abs(image.astype(int) - colour).max() <= 6
    assert ("crf=18 has no meaning for mpeg4" in caplog.text) == (codec == "mpeg4")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"codec": "nope"}, "composite.codec: found codec=nope .* no such encoder"),
        ({"codec": "aac"}, "composite.codec: .* does not take yuv420p"),
        ({"codec": "gif"}, "composite.codec: .* does not take yuv420p"),
        ({"codec": "libvpx"}, "composite.codec: .* does not fit into an mp4"),
        ({"crf": 77}, "composite.crf: .* no such quality"),
        ({"crf": 0}, "composite.{crf,preset}: .* refuses"),  # lossless H.264 plays nowhere
        ({"preset": "warp"}, "composite.{crf,preset}: .*preset=warp"),
        ({"fps": 0}, "composite.fps"),
        ({"fps": 1e-6}, "composite.fps"),
        ({"fps": None}, "composite.fps: found no rate"),
    ],
)
def test_what_the_encoder_refuses_names_its_key(tmp_path, arguments, match):
    with pytest.raises(ConfigError, match=match):
        write_video(tmp_path / "dream.mp4", FRAMES, **{"fps": 25, **arguments})
    assert list(tmp_path.iterdir()) == []


def test_frames_of_two_sizes_are_refused(tmp_path):
    with pytest.raises(SizeError, match="frame 2: found 32x16 pixels"):
        write_video(tmp_path / "dream.mp4", [flat(0), flat(0, 16, 32)], fps=25)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("frames", "times", "found"),
    [
        ([], None, "no frames"),
        (FRAMES[:2], [0, 1, 2], "2 frames"),
        (FRAMES[:3], [0, 1], "more than 2"),
        (FRAMES[:2], [1, 1], "do not rise"),
    ],
)
def test_frames_and_times_have_to_match(tmp_path, frames, times, found):
    times = times and [Fraction(time) for time in times]
    with pytest.raises(VideoError, match=f"dream.mp4: found .*{found}"):
        write_video(tmp_path / "dream.mp4", frames, times=times, fps=None if times else 25)
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_old_video_alone(tmp_path):
    path = tmp_path / "dream.mp4"
    path.write_bytes(b"old")

    def frames():
        yield FRAMES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(path, frames(), fps=25)
    assert [file.name for file in tmp_path.iterdir()] == ["dream.mp4"]
    assert path.read_bytes() == b"old"


def test_the_data_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "a.mp4", []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append((os.fstat(handle), path.exists())))
    write_video(path, [flat((1, 2, 3))], fps=25)
    ((status, named),) = synced
    assert (status.st_size, status.st_ino, named) == (path.stat().st_size, path.stat().st_ino, False)


def _write_with_little_room(path):
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    noise = np.random.default_rng(0).integers(0, 256, (20, 96, 128, 3), dtype=np.uint8)
    write_video(path, noise, fps=25, crf=1)


def test_a_full_disk_is_said_so(tmp_path):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(SpaceError, match="no space"):
        pool.submit(_write_with_little_room, tmp_path / "dream.mp4").result()
    assert list(tmp_path.iterdir()) == []
