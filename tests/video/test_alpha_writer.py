"""Videos with alpha are decoded and compared, in colours, opacity, times and size."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

from dreaming.errors import SizeError, VideoError
from dreaming.video.alpha_writer import ALPHA_CODECS, time_code, write_alpha_video

ACCURATE = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP | Interpolation.FULL_CHR_H_INT
)


def drawn(number, depth, size=(33, 47)):
    """Smooth colours under a disc with a soft edge, RGBA of a depth in bits; odd sizes."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(float)
    colours = np.stack([columns / size[1], rows / size[0], (rows + columns + 8 * number) / 2 / sum(size)], -1)
    opacity = np.clip(10.5 - np.hypot(rows - 16, columns - 10 - 6 * number), 0, 1)
    maximum = 2**depth - 1
    return np.rint(np.dstack([colours, opacity]) * maximum).astype(np.uint16 if depth == 16 else np.uint8)


def decoded(path, codec):
    """Each frame as floats 0..1 (H, W, 4), and its time in seconds."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        decoder = av.CodecContext.create("libvpx-vp9", "r") if codec == "webm" else stream.codec_context
        frames = [frame for packet in file.demux(stream) for frame in decoder.decode(packet if packet.size else None)]
    for frame in frames:
        assert (frame.width, frame.height) == (47, 33)
        if codec == "ffv1":
            yield frame.reformat(format="rgba").to_ndarray() / 255, frame.pts * frame.time_base
        else:
            assert (frame.colorspace, frame.color_range) == (Colorspace.ITU709, ColorRange.MPEG)
            if codec == "prores":  # VP9 states them in the file only
                assert (frame.color_primaries, frame.color_trc) == (ColorPrimaries.BT709, ColorTrc.BT709)
            rgba = frame.reformat(format="rgba64le", src_colorspace=Colorspace.ITU709, interpolation=ACCURATE)
            yield rgba.to_ndarray() / 65535, frame.pts * frame.time_base


@pytest.mark.parametrize(
    ("name", "colour", "opacity"), [("prores", 2 / 255, 1 / 1023), ("webm", 8 / 255, 12 / 255), ("ffv1", 0, 0)]
)
def test_colours_opacity_and_times_are_decoded_again(tmp_path, name, colour, opacity):
    codec = ALPHA_CODECS[name]
    frames = [drawn(number, codec.depth) for number in range(5)]
    times = [Fraction(10) + Fraction(tick, 25) for tick in (0, 1, 3, 4, 7)]
    path = tmp_path / f"x{codec.suffix}"
    assert write_alpha_video(path, iter(frames), codec, times=times) == 5
    found = list(decoded(path, name))
    assert len(found) == 5
    for frame, (rgba, time), expected in zip(frames, found, times, strict=True):
        wanted = frame / (2**codec.depth - 1)
        assert np.abs(rgba[..., 3] - wanted[..., 3]).max() <= opacity
        assert np.abs(rgba[..., :3] - wanted[..., :3]).max() <= colour
        assert abs(time - (expected - 10)) <= (0 if name == "prores" else Fraction(1, 1000))


def test_the_first_frames_number_is_the_time_code(tmp_path):
    codec = ALPHA_CODECS["prores"]
    path = tmp_path / "x.mov"
    write_alpha_video(path, [drawn(0, 16)] * 2, codec, fps=24, number=1001)
    with av.open(str(path)) as file:
        assert file.streams.video[0].metadata["timecode"] == "00:00:41:17"
        assert file.streams.video[0].average_rate == 24
    assert time_code(1001, Fraction(24000, 1001)) == "00:00:41:17"
    assert time_code(24 * 3600 * 25 + 1, Fraction(25)) == "00:00:00:01"


def test_wrong_frames_leave_no_file(tmp_path):
    path, codec = tmp_path / "x.mkv", ALPHA_CODECS["ffv1"]
    other = np.zeros((8, 8, 4), np.uint8)
    with pytest.raises(SizeError):
        write_alpha_video(path, [drawn(0, 8), other], codec, fps=24)
    with pytest.raises(VideoError):
        write_alpha_video(path, [], codec, fps=24)
    with pytest.raises(VideoError):
        write_alpha_video(path, [other], codec, times=[Fraction(0), Fraction(1)])
    assert not list(tmp_path.glob("*.mkv"))
    assert not list(tmp_path.glob("*.part"))
