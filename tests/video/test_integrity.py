"""Truncated videos are told from complete ones in every container."""

from fractions import Fraction

import av
import numpy as np
import pytest

from dreaming.video.integrity import is_truncated


def film(path, codec, pix_fmt, options=None):
    with av.open(str(path), "w", options=options or {}) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, pix_fmt
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 30 * number, np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


KINDS = {
    "plain.mp4": ("libx264", "yuv420p", None),
    "faststart.mp4": ("libx264", "yuv420p", {"movflags": "+faststart"}),
    "fragmented.mp4": ("libx264", "yuv420p", {"movflags": "+frag_keyframe+empty_moov"}),
    "plain.mov": ("libx264", "yuv420p", None),
    "plain.mkv": ("ffv1", "yuv420p", None),
    "plain.webm": ("libvpx", "yuv420p", None),
    "plain.gif": ("gif", "rgb8", None),
}


@pytest.mark.parametrize("name", KINDS)
def test_only_shorter_files_are_truncated(tmp_path, name):
    path = film(tmp_path / name, *KINDS[name])
    whole = path.read_bytes()
    assert not is_truncated(path)
    for kept in (len(whole) - 1, len(whole) * 2 // 3, len(whole) // 2, 60):
        path.write_bytes(whole[:kept])
        assert is_truncated(path), kept


@pytest.mark.parametrize("name", ["faststart.mp4", "plain.gif"])
def test_padding_is_ignored(tmp_path, name):
    path = film(tmp_path / name, *KINDS[name])
    path.write_bytes(path.read_bytes() + bytes(100))
    assert not is_truncated(path)


def test_a_live_recording_declares_no_length(tmp_path):
    path = film(tmp_path / "live.webm", "libvpx", "yuv420p", {"live": "1"})
    assert not is_truncated(path)


@pytest.mark.parametrize("content", [b"", b"x", b"any other file"])
def test_other_formats_are_never_truncated(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    assert not is_truncated(path)
