"""Encoding of frames as an mp4 that browsers play, with exact frame times and the source's sound (PyAV)."""

import io
import logging
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import cv2
from av.codec.codec import UnknownCodecError
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from dreaming.errors import ParameterError, SizeError, VideoError
from dreaming.io.types import Image
from dreaming.video.audio import Soundtrack
from dreaming.video.output import open_output
from dreaming.video.timeline import Timeline

log = logging.getLogger(__name__)

_MAX_CRF = {"libx264": 51, "libx265": 51}  # they silently clip higher values; other encoders accept up to 63


@lru_cache
def check_encoder(codec: str, crf: float, preset: str | None) -> None:
    """Refuse a video encoder that does not exist or rejects its settings, by opening it; warn of unused settings.

    Raises:
        ParameterError: If it cannot encode an mp4.
    """
    expected = "a video encoder of ffmpeg for mp4, such as libx264"
    try:
        encoder = av.Codec(codec, "w")
    except UnknownCodecError:
        raise ParameterError("codec", found=f"{codec}, an unknown encoder", expected=expected) from None
    if encoder.type != "video" or "yuv420p" not in {form.name for form in encoder.video_formats or ()}:
        raise ParameterError("codec", found=f"{codec}, which does not encode yuv420p", expected=expected)
    if not 0 <= crf <= (limit := _MAX_CRF.get(codec, 63)):
        raise ParameterError("crf", found=crf, expected=f"0 to {limit} for {codec}")
    settings = _Encoder(codec, crf, preset)
    # Hardware encoders refuse sizes below about 190 pixels.
    with av.open(io.BytesIO(), "w", format="mp4") as output:
        try:
            stream = settings.add_to(output, 360, 640, Timeline(Path(), None, 25, Fraction(0), None))
        except ValueError:
            raise ParameterError("codec", found=f"{codec}, which mp4 does not support", expected=expected) from None
        try:
            output.start_encoding()
        except (av.FFmpegError, ValueError):
            if preset is not None:
                check_encoder(codec, crf, None)
                raise ParameterError("preset", found=preset, expected=f"a preset of {codec}") from None
            raise ParameterError("crf", found=f"{crf:g}", expected=f"a value that {codec} accepts") from None
        for name in settings.unsupported(stream.codec_context):
            log.warning("codec=%s has no %s; the value is ignored", codec, name)


def write_video(
    path: Path,
    frames: Iterable[Image],
    *,
    times: Sequence[Fraction] | None = None,
    fps: Fraction | float | None = None,
    sound: Path | None = None,
    begin: Fraction | None = None,
    end: Fraction | None = None,
    duration: Fraction | None = None,
    codec: str = "libx264",
    crf: float = 18,
    preset: str | None = "medium",
) -> int:
    """Encode frames as an mp4 for browsers, atomically: yuv420p, BT.709, limited range, index at the start.

    4:2:0 needs even sizes, so an odd last row or column is repeated once. Frame times are exact; ``begin`` becomes 0.
    With ``times`` and ``fps``, the frame rate is constant: a frame is repeated or dropped, so that each appears at the
    multiple of 1/fps nearest to its time, and the speed is unchanged. The sound is copied packet by packet and trimmed
    to ``begin``..``end``. A codec that browsers do not play in an mp4 is converted to AAC, with a warning.

    Args:
        path: The file to write, an mp4 whatever its suffix.
        frames: RGB images (H, W, 3) of one size.
        times: Presentation times in seconds, increasing; required without ``fps``.
        fps: Constant number of frames per second; without ``times``, each frame is shown once.
        sound: A video or sound file whose sound track is added, if it has one.
        begin: Second of the source that becomes 0; by default the first frame's time.
        end: Second of the source at which the sound ends; None for its end.
        duration: How long the last frame is shown, in seconds; None for the mean time between frames.
        codec: An ffmpeg video encoder that accepts yuv420p and is allowed in an mp4.
        crf: Constant rate factor, for encoders that have one; lower gives better quality and larger files.
        preset: The encoder's speed preset; None for its default, and for encoders without presets.

    Returns:
        The number of frames that were given.

    Raises:
        ClipError: If the file is a symbolic link.
        ParameterError: If the encoder does not exist or rejects its settings.
        SizeError: If a frame has another size than the first.
        SpaceError: If the disk is full.
        VideoError: If there are no frames, the numbers of frames and times differ, or the sound is unreadable.
    """
    check_encoder(codec, crf, preset)
    if times is not None and any(later <= earlier for earlier, later in pairwise(times)):
        raise VideoError(path, found="frame times that do not increase", expected="increasing ones")
    if begin is None:
        begin = times[0] if times else Fraction(0)
    with open_output(path) as temporary:
        timeline = Timeline(path, times, fps, begin, duration)
        return _encode(path, temporary, frames, timeline, (sound, begin, end), _Encoder(codec, crf, preset))


def _encode(
    path: Path,
    temporary: Path,
    frames: Iterable[Image],
    timeline: Timeline,
    sound: tuple[Path | None, Fraction, Fraction | None],
    encoder: "_Encoder",
) -> int:
    images = iter(frames)
    first = next(images, None)
    if first is None:
        raise VideoError(path, found="no frames", expected="at least one")
    count = 0
    with ExitStack() as stack:
        # An edit list delays a first frame after 0; it counts in the movie's ticks, by default milliseconds.
        options = {"movflags": "+faststart", "movie_timescale": str(timeline.movie_scale)}
        output = stack.enter_context(av.open(str(temporary.resolve()), "w", format="mp4", options=options))
        stream = encoder.add_to(output, first.shape[0], first.shape[1], timeline)
        track = stack.enter_context(Soundtrack(output, *sound))
        output.start_encoding()
        to_yuv = _YuvConverter()
        durations: dict[int, int] = {}

        def mux(packets: Iterable[Any]) -> None:
            for packet in packets:
                packet.duration = durations.pop(packet.pts)
                output.mux(packet)

        for count, image in enumerate(chain([first], images), 1):
            if image.shape != first.shape:
                raise SizeError(f"{path}, frame {count}", found=image.shape[:2], expected=first.shape[:2])
            for tick, durations[tick] in timeline(count - 1):
                frame = to_yuv(image)
                frame.pts, frame.time_base = tick, timeline.tick
                mux(stream.encode(frame))
                track.mux_until(tick * timeline.tick)
        timeline.check(count)
        delayed = stream.encode()
        if delayed:  # the track's duration counts that of the last packet, which may precede others on the screen
            durations[delayed[-1].pts] = next(reversed(durations.values()))
        mux(delayed)
        track.mux_until(None)
    return count


@dataclass(frozen=True)
class _Encoder:
    """A video encoder and its settings."""

    codec: str
    crf: float
    preset: str | None

    def add_to(self, output: Any, height: int, width: int, timeline: Timeline) -> Any:
        """Add a video stream for frames of this size in pixels."""
        stream = output.add_stream(self.codec, rate=timeline.rate)
        context = stream.codec_context
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        context.time_base = stream.time_base = timeline.tick
        if context.codec.canonical_name == "hevc":
            context.codec_tag = "hvc1"  # the only tag that Safari plays
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        # Without a profile, crf=0 silently makes H.264 that no browser plays.
        profile = {"profile": "high"} if self.codec == "libx264" else {}
        unsupported = self.unsupported(context)
        context.options = {name: value for name, value in self._options.items() if name not in unsupported} | profile
        return stream

    @property
    def _options(self) -> dict[str, str]:
        preset = {} if self.preset is None else {"preset": self.preset}
        return {"crf": f"{self.crf:g}"} | preset

    def unsupported(self, context: Any) -> set[str]:
        """Names of the settings that the encoder does not have."""
        return self._options.keys() - {option.name for option in context.supported_options.private}


class _YuvConverter:
    """Converter of RGB images to the matrix and range that the file declares; it caches the conversion's tables."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, image: Image) -> Any:
        """Convert an image (H, W, 3) to a yuv420p frame of even size."""
        height, width = image.shape[:2]
        even = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(even, format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
        )
