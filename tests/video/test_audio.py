"""Sound tracks in written videos: copied or converted, and in sync."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from dreaming.errors import VideoError
from dreaming.video.reader import probe, read_frames
from dreaming.video.writer import write_video

RATE = 48000
FRAMES = [np.full((16, 32, 3), 20 * number, np.uint8) for number in range(10)]
TIMES = [Fraction(number, 5) for number in range(10)]  # two seconds
LANGUAGES = ("eng", "deu")
CLICKS = (0.25, 0.75, 1.25, 1.75)  # seconds


def recording(path, codec, layout="stereo"):
    """Write two seconds of silence with a short tone at each of ``CLICKS``."""
    seconds = np.arange(2 * RATE) / RATE
    heard = sum((seconds >= click) & (seconds < click + 0.02) for click in CLICKS)
    wave = (0.8 * np.sin(2 * np.pi * 1000 * seconds) * heard).astype(np.float32)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=RATE, layout=layout)
        samples = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(np.tile(wave, (2 if layout == "stereo" else 1, 1))), format="fltp", layout=layout
        )
        samples.sample_rate, samples.pts = RATE, 0
        context = stream.codec_context
        resampler = av.AudioResampler(context.format, context.layout, RATE, context.frame_size or 1024)
        for part in [*resampler.resample(samples), *resampler.resample(None), None]:
            output.mux(stream.encode(part))
    return path


def clicks(path):
    """Times at which a tone starts, and the end of the sound, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        to_float = av.AudioResampler("fltp", "mono", RATE)
        found, last = [], 0.0
        for frame in (part for whole in container.decode(stream) for part in to_float.resample(whole)):
            samples = np.abs(frame.to_ndarray()[0])
            start = float(frame.pts * frame.time_base)
            for moment in start + np.flatnonzero(samples > 0.2) / RATE:
                if not found or moment - found[-1] > 0.1:
                    found.append(moment)
            last = start + frame.samples / RATE
    return found, last


def packets(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]


KINDS = {
    "aac.mp4": "aac",
    "aac.mkv": "aac",
    "aac.ts": "aac",
    "mp3.mkv": "libmp3lame",
    "opus.webm": "libopus",
    "flac.mkv": "flac",
}


@pytest.mark.parametrize("default", [1, 2])
def test_the_default_of_two_tracks_is_used_and_named(tmp_path, caplog, default):
    tracks = [recording(tmp_path / f"{codec}.mkv", codec) for codec in ("aac", "libmp3lame")]
    source, path = tmp_path / "two.mkv", tmp_path / "dream.mp4"
    with av.open(str(source), "w") as output, av.open(str(tracks[0])) as first, av.open(str(tracks[1])) as second:
        targets = [output.add_stream_from_template(each.streams.audio[0]) for each in (first, second)]
        for number, target in enumerate(targets, 1):
            target.disposition = Disposition.default if number == default else Disposition(0)
            target.metadata["language"] = LANGUAGES[number - 1]
        for target, each in zip(targets, (first, second), strict=True):
            for packet in each.demux(each.streams.audio[0]):
                if packet.dts is not None:
                    packet.stream = target
                    output.mux(packet)
    with caplog.at_level(logging.INFO):
        write_video(path, FRAMES, times=TIMES, sound=source)
    assert packets(path) == packets(tracks[default - 1])
    assert [record.args[1:] for record in caplog.records] == [(default, 2, LANGUAGES[default - 1])]


@pytest.mark.parametrize("name", KINDS)
def test_sound_is_copied_packet_by_packet(tmp_path, name):
    source, path = recording(tmp_path / name, KINDS[name]), tmp_path / "dream.mp4"
    write_video(path, FRAMES, times=TIMES, sound=source, begin=Fraction(0))
    if name == "aac.ts":  # each packet has a header of 7 bytes that an mp4 stores once
        assert packets(path) == [packet[7:] for packet in packets(source)]
        return
    assert packets(path) == packets(source)
    assert probe(path).times == tuple(TIMES)
    assert np.abs(np.subtract(clicks(path)[0], CLICKS)).max() < 0.006


@pytest.mark.parametrize("name", ["aac.mp4", "aac.mkv", "mp3.mkv", "opus.webm", "flac.mkv", "pcm.mkv"])
def test_sound_of_a_part_is_in_sync(tmp_path, name):
    source, path = recording(tmp_path / name, KINDS.get(name, "pcm_s16le")), tmp_path / "dream.mp4"
    write_video(path, FRAMES[3:8], times=TIMES[3:8], sound=source, begin=TIMES[3], end=TIMES[8])
    found, last = clicks(path)
    assert np.abs(np.subtract(found, [0.75 - 0.6, 1.25 - 0.6])).max() < 0.006
    assert abs(last - 1.0) < 0.1
    with av.open(str(path)) as container:
        first = next(container.demux(container.streams.audio[0]))
        assert -0.2 < first.pts * first.time_base <= 0  # only what a decoder needs to warm up


@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_codecs_that_browsers_do_not_play_are_converted_with_a_warning(tmp_path, caplog, layout):
    source, path = recording(tmp_path / "pcm.mov", "pcm_s16le", layout), tmp_path / "dream.mp4"
    write_video(path, FRAMES, times=TIMES, sound=source)
    assert [(record.levelno, record.args) for record in caplog.records] == [(logging.WARNING, (source, "pcm_s16le"))]
    with av.open(str(path)) as container:
        context = container.streams.audio[0].codec_context
        assert (context.name, context.layout.name, context.sample_rate) == ("aac", layout, RATE)
    assert np.abs(np.subtract(clicks(path)[0], CLICKS)).max() < 0.006


def test_a_silent_source_gives_a_silent_video(tmp_path):
    silent, path = tmp_path / "silent.mp4", tmp_path / "dream.mp4"
    write_video(silent, FRAMES, times=TIMES)
    write_video(path, FRAMES, times=TIMES, sound=silent)
    assert not probe(path).sound


def test_an_unreadable_sound_file_is_named(tmp_path):
    garbage = tmp_path / "garbage.mp4"
    garbage.write_bytes(b"\1" * 1000)
    for sound in (garbage, tmp_path / "absent.mp4"):
        with pytest.raises(VideoError) as refused:
            write_video(tmp_path / "dream.mp4", FRAMES, times=TIMES, sound=sound)
        assert refused.value.where == str(sound)
    assert [path.name for path in tmp_path.iterdir()] == ["garbage.mp4"]


BEEPS = (0.4, 1.4, 2.4, 3.4)  # seconds


def flashes(path, offset, *, varying=False, **options):
    """Write 4 s at 30 frames per second, with flashes and beeps at ``BEEPS``, on a clock that starts at ``offset``."""
    base, numbers = Fraction(1, 90000), range(120)
    if varying:
        numbers = [number for number in numbers if number % 7 not in (1, 2, 4) or number % 30 in (12, 15)]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=30, options={"preset": "ultrafast", "crf": "10", **options})
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.time_base = 32, 16, "yuv420p", base
        track = output.add_stream("aac", rate=RATE, layout="mono")
        for number in numbers:
            frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 220 * (12 <= number % 30 < 15), np.uint8))
            frame.pts, frame.time_base = 3000 * number + 90000 * offset, base
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
        seconds = np.arange(4 * RATE) / RATE
        heard = sum((seconds >= beep) & (seconds < beep + 0.05) for beep in BEEPS)
        for index in range(0, 4 * RATE, 1024):
            wave = (0.8 * np.sin(2 * np.pi * 1000 * seconds) * heard).astype(np.float32)[None, index : index + 1024]
            samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave), format="fltp", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = RATE, index + RATE * offset, Fraction(1, RATE)
            output.mux(track.encode(samples))
        output.mux(track.encode())
    return path


SOURCES = {
    "bframes.mp4": {"offset": 0, "bf": "3"},
    "varying.mkv": {"offset": 0, "varying": True},
    "broadcast.ts": {"offset": 36001, "bf": "2"},
}


@pytest.fixture(scope="module", params=SOURCES)
def flashing(request, tmp_path_factory):
    return flashes(tmp_path_factory.mktemp("flashes") / request.param, **SOURCES[request.param])


@pytest.mark.parametrize("fps", [None, 25, Fraction(30000, 1001), 30, 60])
@pytest.mark.parametrize(("start", "end"), [(1, None), (10, 60), (39, None)])
def test_flashes_and_beeps_coincide_at_every_rate(tmp_path, flashing, start, end, fps):
    source, path = probe(flashing), tmp_path / "dream.mp4"
    found = list(read_frames(flashing, source, start=start, end=end))
    timing = source.timing([number for number, _ in found])
    write_video(path, [image for _, image in found], sound=flashing, fps=fps, preset="ultrafast", **timing._asdict())
    written = probe(path)
    assert written.times[0] <= Fraction(1, 10)
    if fps is not None:
        assert list(written.times) == [index / Fraction(fps) for index in range(written.count)]
    assert abs(float(written.times[-1] - (timing.times[-1] - timing.begin))) <= 0.04
    bright = [image.mean() > 110 for _, image in read_frames(path)]
    seen = [
        float(time)
        for time, before, now in zip(written.times, [False, *bright], bright, strict=False)
        if now and not before
    ]
    shift = SOURCES[flashing.name]["offset"] - float(timing.begin)
    expected = [beep + shift for beep in BEEPS if 0 < beep + shift < written.times[-1]]
    np.testing.assert_allclose(seen, expected, atol=0.0201)
    np.testing.assert_allclose(seen, [beep for beep in clicks(path)[0] if beep > 0.01][: len(seen)], atol=0.0201)
