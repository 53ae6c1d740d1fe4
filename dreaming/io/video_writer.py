"""Frames to an H.264 mp4 that any browser plays, with the source's frame times and its sound (PyAV), streaming."""

import logging
import math
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import cv2
from av.codec.codec import UnknownCodecError
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from dreaming.errors import ConfigError, SizeError, SpaceError, VideoError
from dreaming.io.atomic import FULL, temporary_path
from dreaming.io.audio import Soundtrack
from dreaming.io.types import Image

log = logging.getLogger(__name__)

_SLOWEST = 0.001  # frames a second; as a fraction whose denominator is at most 1001 a lower rate would be 0
_LARGEST_CRF = {"libx264": 51, "libx265": 51}  # beyond it they clip it without a word; others go to 63
_FINEST_TIME_BASE = 2**31 - 1  # an mp4 time scale has 32 bits, of which players take 31


def check_fps(key: str, fps: Fraction | float | None) -> None:
    """Refuse a rate that no video can have.

    Raises:
        ConfigError: If it is one.
    """
    if fps is not None and not _SLOWEST <= fps < math.inf:
        expected = f"{_SLOWEST} frames a second or more"
        raise ConfigError(key, found=str(fps), expected=expected, hint="correct it, or leave it out")


def write_video(
    path: Path,
    frames: Iterable[Image],
    *,
    times: Sequence[Fraction] | None = None,
    fps: Fraction | float | None = None,
    sound: Path | None = None,
    begin: Fraction | None = None,
    end: Fraction | None = None,
    codec: str = "libx264",
    crf: float = 18,
    preset: str | None = "medium",
) -> int:
    """Encode frames as an mp4 that browsers play, atomically: yuv420p, BT.709, limited range, index in front.

    4:2:0 needs even sizes: an odd last row or column is repeated once. Times are kept exactly; ``begin`` becomes 0.
    The sound is copied packet by packet and trimmed to ``begin``..``end``; what browsers do not play in an mp4 is
    encoded as AAC, with a warning. With ``fps`` the sound is neither stretched nor shifted.

    Args:
        path: The file to make, an mp4 whatever its suffix.
        frames: RGB pictures (H, W, 3) of one size.
        times: Seconds at which each frame is shown, rising.
        fps: Frames per second in place of ``times``.
        sound: The video or sound file whose sound track to take, if it has one.
        begin: Second of the source that becomes 0; the first frame's by default.
        end: Second of the source at which the sound ends; None keeps it whole.
        codec: A video encoder of ffmpeg's that takes yuv420p and may live in an mp4.
        crf: Constant rate factor, lower is better and larger; for encoders that have one.
        preset: The encoder's speed preset; None for its own, and for encoders that have none.

    Returns:
        How many frames were written.

    Raises:
        ConfigError: If the encoder does not exist or refuses its parameters, or if the frames have no times.
        SizeError: If a frame has another size than the first.
        SpaceError: If the disk is full.
        VideoError: If there are no frames, not as many as times, or if the sound cannot be read.
    """
    if fps is None and times is None:
        raise ConfigError("stage.composite.fps", found="no rate", expected="frames per second", hint="set it to 25")
    check_fps("stage.composite.fps", fps)
    if times is not None and any(later <= earlier for earlier, later in pairwise(times)):
        raise VideoError(path, found="frame times that do not rise", expected="rising ones", hint="extract again")
    if begin is None:
        begin = times[0] if times and fps is None else Fraction(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        clock = _Clock(path, times if fps is None else None, fps, begin)
        count = _encode(path, temporary, frames, clock, (sound, begin, end), _Encoder(codec, crf, preset))
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())  # as in folder.write_atomically: the data before the name
        temporary.replace(path)
    except (OSError, av.FFmpegError) as error:
        if error.errno not in FULL:
            raise
        raise SpaceError(
            path,
            found="no space left on the disk",
            expected="room for the video, twice over while it is made",
            hint="free some space and start again: the frames stay and are not made twice",
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
    return count


class _Clock:
    """When each frame is shown, in whole ticks."""

    def __init__(
        self, path: Path, times: Sequence[Fraction] | None, fps: Fraction | float | None, begin: Fraction
    ) -> None:
        self._path, self._times, self._begin = path, times, begin
        if times is None:
            assert fps is not None
            self.rate = Fraction(fps).limit_denominator(1001)
            self.tick = 1 / self.rate
            return
        span = times[-1] - times[0] if times else Fraction(0)
        self.rate = ((len(times) - 1) / span).limit_denominator(1001) if span else Fraction(25)
        scale = math.lcm(*((time - begin).denominator for time in times))
        if scale > _FINEST_TIME_BASE:
            log.warning("%s: frame times are rounded to microseconds, an mp4 keeps no finer ones than these", path)
            scale = 1_000_000
        self.tick = Fraction(1, scale)

    @property
    def movie_scale(self) -> int:
        """Ticks a second in which an edit list can tell all frame times, 1000 or more."""
        return self.tick.denominator * -(-1000 // self.tick.denominator)

    def __call__(self, place: int) -> int:
        """Ticks at which the frame of this place, from 0, is shown."""
        if self._times is None:
            return place
        if place >= len(self._times):
            raise self.mismatch(f"more than {len(self._times)} frames")
        return round((self._times[place] - self._begin) / self.tick)

    def check(self, count: int) -> None:
        if self._times is not None and count != len(self._times):
            raise self.mismatch(f"{count} frames")

    def mismatch(self, found: str) -> VideoError:
        expected = f"one for each of {len(self._times or ())} times"
        return VideoError(self._path, found=found, expected=expected, hint="run `stages=[composite]` again")


def _encode(
    path: Path,
    temporary: Path,
    frames: Iterable[Image],
    clock: _Clock,
    sound: tuple[Path | None, Fraction, Fraction | None],
    encoder: "_Encoder",
) -> int:
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise VideoError(path, found="no frames", expected="at least one", hint="run the stages before this one")
    count = 0
    with ExitStack() as stack:
        # A first frame after 0 is put off by an edit list, which counts in the movie's ticks, by default milliseconds.
        options = {"movflags": "+faststart", "movie_timescale": str(clock.movie_scale)}
        output = stack.enter_context(av.open(str(temporary.resolve()), "w", format="mp4", options=options))
        stream = encoder.add_to(output, first.shape[0], first.shape[1], clock)
        track = stack.enter_context(Soundtrack(output, *sound))
        encoder.start(output)
        to_yuv = _ToYuv()
        for count, picture in enumerate(chain([first], pictures), 1):
            if picture.shape != first.shape:
                raise SizeError(
                    f"{path}, frame {count}",
                    found=picture.shape[:2],
                    expected=first.shape[:2],
                    hint="make the frames again",
                )
            frame = to_yuv(picture)
            frame.pts, frame.time_base = clock(count - 1), clock.tick
            output.mux(stream.encode(frame))
            track.mux_until(frame.pts * clock.tick)
        clock.check(count)
        output.mux(stream.encode())
        track.mux_until(None)
    return count


@dataclass(frozen=True)
class _Encoder:
    """The user's choice of encoder, checked before a frame is made."""

    codec: str
    crf: float
    preset: str | None

    def add_to(self, output: Any, height: int, width: int, clock: _Clock) -> Any:
        """Add a video stream for frames of this size in pixels."""
        try:
            codec = av.Codec(self.codec, "w")
        except UnknownCodecError:
            raise self._misfit("no such encoder") from None
        if codec.type != "video" or "yuv420p" not in {form.name for form in codec.video_formats or ()}:
            raise self._misfit("an encoder that does not take yuv420p pictures")
        if not 0 <= self.crf <= _LARGEST_CRF.get(self.codec, 63):
            raise self._misfit("an encoder that has no such quality", "crf")
        try:
            stream = output.add_stream(self.codec, rate=clock.rate)
        except ValueError:
            raise self._misfit("an encoder whose video does not fit into an mp4") from None
        context = stream.codec_context
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        context.time_base = stream.time_base = clock.tick
        if codec.canonical_name == "hevc":
            context.codec_tag = "hvc1"  # Safari plays no other
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        context.options = self._options({option.name for option in context.supported_options.private})
        return stream

    def _options(self, known: set[str]) -> dict[str, str]:
        wanted = {"crf": f"{self.crf:g}"}
        if self.preset is not None:
            wanted["preset"] = self.preset
        for name in wanted.keys() - known:
            log.warning("stage.composite.%s=%s has no meaning for %s", name, wanted[name], self.codec)
        # Without a profile, crf=0 makes H.264 that no browser plays, instead of an error.
        profile = {"profile": "high"} if self.codec == "libx264" else {}
        return {name: value for name, value in wanted.items() if name in known} | profile

    def start(self, output: Any) -> None:
        """Open the encoder and write the file's head."""
        try:
            output.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            raise self._misfit("an encoder that refuses these", "{crf,preset}") from None

    def _misfit(self, fault: str, key: str = "codec") -> ConfigError:
        return ConfigError(
            f"stage.composite.{key}",
            found=f"codec={self.codec} crf={self.crf:g} preset={self.preset}, {fault}",
            expected="a video encoder of ffmpeg's for mp4 with a crf and a preset that suit it",
            hint="use codec=libx264 crf=18 preset=medium",
        )


class _ToYuv:
    """Turn RGB pictures into frames of the matrix and range that the file names; keeps the conversion's tables."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, image: Image) -> Any:
        """A yuv420p frame of even size."""
        height, width = image.shape[:2]
        even = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(even, format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
        )
