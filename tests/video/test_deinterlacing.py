"""Interlaced videos become progressive; others stay as they are."""

from fractions import Fraction

import av
import numpy as np
import pytest
from drawn_video import film

from dreaming.video.reader import probe, read_frames

CODECS = {
    "broadcast.ts": ("mpeg2video", "yuv420p", {"flags": "+ildct+ilme", "b": "8000000"}),
    "x264.mkv": ("libx264", "yuv420p", {"x264-params": "interlaced=1:tff=1", "crf": "5"}),
    "camera.mov": ("prores_ks", "yuv422p10le", {"flags": "+ildct"}),
}


def fields(number, height=96, width=128):
    """A bar that moves 4 pixels from field to field."""
    image = np.full((height, width, 3), 40, np.uint8)
    for parity in (0, 1):
        left = 8 * number + 4 * parity
        image[20 + parity : 76 : 2, left : left + 24] = 230
    return image


def combing(image):
    return np.abs(2 * image[1:-1].astype(int) - image[:-2] - image[2:]).mean()


@pytest.fixture(params=CODECS)
def interlaced(request, tmp_path):
    codec, pix_fmt, options = CODECS[request.param]
    path = tmp_path / request.param
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, pix_fmt
        stream.codec_context.flags |= (1 << 18) | (1 << 29)  # AV_CODEC_FLAG_INTERLACED_DCT and _ME
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(fields(number)).reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def test_interlaced_frames_are_deinterlaced(interlaced):
    found = dict(read_frames(interlaced))
    assert list(found) == list(range(1, 9)) == list(range(1, probe(interlaced).count + 1))
    for number, image in found.items():
        assert combing(fields(number - 1)) > 15
        assert combing(image) < 3
        bar = np.flatnonzero(image[48].mean(axis=1) > 130)
        assert abs(bar.mean() - (8 * (number - 1) + 13.5)) <= 3


def test_a_part_is_deinterlaced_like_the_whole(interlaced):
    whole = dict(read_frames(interlaced))
    for number, image in read_frames(interlaced, start=6, end=7):
        np.testing.assert_array_equal(image, whole[number])


def test_progressive_frames_are_unchanged(tmp_path):
    path = film(tmp_path / "plain.mkv", "ffv1")
    with av.open(str(path)) as container:
        assert not any(frame.interlaced_frame for frame in container.decode(video=0))
    assert len(list(read_frames(path))) == 12
