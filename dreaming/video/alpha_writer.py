"""Encoding of frames with an alpha channel: ProRes 4444, VP9 and FFV1 (PyAV)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter
from numpy.typing import NDArray

from dreaming.errors import SizeError, VideoError
from dreaming.video.output import open_output
from dreaming.video.timeline import Timeline

_ACCURATE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP


@dataclass(frozen=True)
class AlphaCodec:
    """A video encoder with alpha, and the file that holds its stream.

    Attributes:
        suffix: Of the file's name.
        container: ffmpeg's name of the file format.
        encoder: ffmpeg's name of the encoder.
        pixels: Format of the encoded pixels.
        depth: Bits per channel of the frames that it takes, 8 or 16.
        options: Options of the encoder.
    """

    suffix: str
    container: str
    encoder: str
    pixels: str
    depth: int
    options: Mapping[str, str]

    @property
    def is_rgb(self) -> bool:
        """Whether it stores RGB, exactly, instead of BT.709 Y'CbCr in limited range."""
        return self.pixels == "bgra"


ALPHA_CODECS: Mapping[str, AlphaCodec] = {
    "prores": AlphaCodec(
        ".mov", "mov", "prores_ks", "yuva444p10le", 16, {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}
    ),
    # Without a bit rate of 0, crf would only be a lower limit. Alternate reference frames exclude alpha.
    "webm": AlphaCodec(
        ".webm",
        "webm",
        "libvpx-vp9",
        "yuva420p",
        8,
        {"crf": "16", "b": "0", "auto-alt-ref": "0", "row-mt": "1", "cpu-used": "4"},
    ),
    "ffv1": AlphaCodec(".mkv", "matroska", "ffv1", "bgra", 8, {"level": "3", "slicecrc": "1", "g": "1"}),
}
"""Codecs by the name of the export's format."""


def write_alpha_video(
    path: Path,
    frames: Iterable[NDArray[Any]],
    codec: AlphaCodec,
    *,
    times: Sequence[Fraction] | None = None,
    fps: Fraction | float | None = None,
    duration: Fraction | None = None,
    number: int | None = None,
) -> int:
    """Encode frames with alpha, atomically; the first one is shown at 0.

    FFV1 is lossless. ProRes keeps alpha within 2 levels of 1023, and colours within 2 of 255 in smooth areas. VP9 is
    lossy: 99 % of colours within about 9 levels, single ones within about 35, at half the resolution; 12 in alpha at
    edges. Times are rounded to milliseconds in webm and mkv.

    Args:
        path: The file to write.
        frames: RGBA (H, W, 4) of one size, uint8 or uint16 as ``codec.depth`` says.
        codec: One of ``ALPHA_CODECS``.
        times: Presentation times in seconds, increasing; required without ``fps``.
        fps: Constant number of frames per second; without ``times``, each frame is shown once.
        duration: How long the last frame is shown, in seconds; None for the mean time between frames.
        number: The first frame's number, which the file stores as time code; None for no time code.

    Returns:
        The number of frames that were given.

    Raises:
        ClipError: If the file is a symbolic link.
        SizeError: If a frame has another size than the first.
        SpaceError: If the disk is full.
        VideoError: If there are no frames, or the numbers of frames and times differ.
    """
    if times is not None and any(later <= earlier for earlier, later in pairwise(times)):
        raise VideoError(path, found="frame times that do not increase", expected="increasing ones")
    images = iter(frames)
    first = next(images, None)
    if first is None:
        raise VideoError(path, found="no frames", expected="at least one")
    count = 0
    with open_output(path) as temporary:
        timeline = Timeline(path, times, fps, times[0] if times else Fraction(0), duration)
        with av.open(str(temporary.resolve()), "w", format=codec.container) as output:
            if number is not None:
                output.metadata["timecode"] = time_code(number, timeline.rate)
            stream = _add_stream(output, codec, first.shape[0], first.shape[1], timeline)
            convert = _Converter(codec)
            for count, image in enumerate(chain([first], images), 1):
                if image.shape != first.shape:
                    raise SizeError(f"{path}, frame {count}", found=image.shape[:2], expected=first.shape[:2])
                for tick, shown in timeline(count - 1):
                    frame = convert(image)
                    frame.pts, frame.duration, frame.time_base = tick, shown, timeline.tick
                    output.mux(stream.encode(frame))
            timeline.check(count)
            output.mux(stream.encode())
    return count


def time_code(number: int, rate: Fraction) -> str:
    """Time code ``HH:MM:SS:FF`` of a frame's number, counted from 0 without dropped numbers (SMPTE 12M).

    It counts at the nearest whole rate, as time codes of 23.976 or 29.97 frames per second do.
    """
    per_second = max(round(rate), 1)
    seconds, frame = divmod(number, per_second)
    return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frame:02}"


def _add_stream(output: Any, codec: AlphaCodec, height: int, width: int, timeline: Timeline) -> Any:
    stream = output.add_stream(codec.encoder, rate=timeline.rate)
    context = stream.codec_context
    stream.width, stream.height, stream.pix_fmt = width, height, codec.pixels
    context.time_base = stream.time_base = timeline.tick
    context.options = dict(codec.options)
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    if codec.is_rgb:
        context.color_range, context.color_trc = ColorRange.JPEG, ColorTrc.IEC61966_2_1
    else:
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
    return stream


class _Converter:
    """Converter of RGBA frames to the pixels of a codec; it caches the conversion's tables."""

    def __init__(self, codec: AlphaCodec) -> None:
        self._codec, self._reformatter = codec, VideoReformatter()

    def __call__(self, image: NDArray[Any]) -> Any:
        """Convert a frame (H, W, 4)."""
        assert image.dtype == (np.uint16 if self._codec.depth == 16 else np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="rgba64le" if self._codec.depth == 16 else "rgba")
        if self._codec.is_rgb:
            return self._reformatter.reformat(frame, format=self._codec.pixels)
        converted = self._reformatter.reformat(
            frame,
            format=self._codec.pixels,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=_ACCURATE,
        )
        # ProRes also states them in the header of each frame, which some programs read instead of the file's.
        converted.color_primaries, converted.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        return converted
