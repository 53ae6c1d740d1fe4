"""Opening of video files and decoding of their frames; errors and damage (PyAV)."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
from av.stream import Disposition

from dreaming.errors import VideoError
from dreaming.video.integrity import is_animated_webp, is_truncated

# Containers and codecs in which each packet holds one shown frame and its time. Frames of the others (VP8 has hidden
# frames, AVI lacks times, MPEG-TS lacks an index) can only be counted by decoding.
_INDEXED_CONTAINERS = {"mov", "matroska", "gif"}
_INDEXED_CODECS = {"h264", "hevc", "av1", "vp9", "mjpeg", "prores", "ffv1", "gif", "dnxhd", "png", "qtrle"}

# Formats whose files name others, which may lie outside a clip that somebody else made, and may change unnoticed.
_PLAYLISTS = {"concat", "dash", "hls", "imf", "sdp", "webm_dash_manifest"}

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_EXPECTED = "a complete video (mp4, mov, mkv, webm, gif, ...)"


def open_media(path: Path, expected: str) -> Any:
    """Open a file with ffmpeg, as an av container.

    Raises:
        VideoError: If the file is absent, unreadable, or in no format that ffmpeg knows.
    """
    try:
        path.stat()
        if not path.is_file():
            found = "a folder" if path.is_dir() else "a device or pipe"
            raise VideoError(path, found=found, expected=expected)
        with path.open("rb"):
            pass
        # An absolute path, because ffmpeg parses a name such as 12:30.mp4 as a URL with a protocol.
        container: Any = av.open(str(path.resolve()), metadata_errors="replace")
    except FileNotFoundError:
        raise VideoError(path, topic="no-video", found="no such file", expected=expected) from None
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise _denied(path, error.strerror, expected) from None
        raise VideoError(
            path,
            topic="damaged-video",
            found="a damaged or truncated file, or no video",
            expected=expected,
            hint="copy or export it again",
        ) from None
    except OSError as error:
        raise _denied(path, error.strerror, expected) from None
    if _PLAYLISTS & set(container.format.name.split(",")):
        container.close()
        raise VideoError(
            path, found="a list of other files", expected=expected, hint="name the video itself, or join its parts"
        )
    return container


def default_stream(streams: Iterable[Any]) -> Any | None:
    """The stream that a player selects: the first one marked as the default, or else the first; None without any."""
    candidates = list(streams)
    marked = [stream for stream in candidates if stream.disposition & Disposition.default]
    return next(iter(marked or candidates), None)


def _denied(path: Path, reason: str | None, expected: str) -> VideoError:
    return VideoError(
        path,
        found=f"a file that cannot be read ({reason})",
        expected=expected,
        hint="check the file and the permissions of its folders",
    )


class VideoStream:
    """A video file that is open for decoding; a context manager.

    Attributes:
        count: Number of frames decoded so far.
        damaged: Number of packets or frames with errors so far, which the decoder concealed or dropped.

    Raises:
        VideoError: If the file is unreadable or has no video stream.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.damaged = path, 0, 0
        self._container = open_media(path, _EXPECTED)
        try:
            self.stream = self._select()
        except VideoError:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def sound_start(self) -> Fraction | None:
        """When the sound starts on the clock of the file, in seconds, without what decoders skip; None if unknown."""
        sound = default_stream(self._container.streams.audio)
        return None if sound is None or sound.start_time is None else sound.start_time * sound.time_base

    def _select(self) -> Any:
        """Select the default video stream, or the first."""
        container = self._container
        # ffmpeg's "tty" demuxer renders any text file as an image.
        if container.format.name == "tty" or not len(container.streams):
            raise self._unreadable()
        stream = default_stream(s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
        if stream is None:
            types = ", ".join(sorted({stream.type for stream in container.streams}))
            raise VideoError(self.path, found=f"only streams of these types: {types}", expected="a video stream")
        if stream.codec_context is None:
            found, expected = "a codec that ffmpeg cannot decode", "H.264, H.265, VP9 or similar"
            raise VideoError(self.path, found=found, expected=expected)
        stream.thread_type = "AUTO"
        return stream

    def _alpha_decoder(self) -> Any | None:
        """The decoder of libvpx for transparent VP8 and VP9, whose alpha ffmpeg's own ignores; None for others."""
        name = _ALPHA_DECODERS.get(self.stream.codec_context.name)
        return av.CodecContext.create(name, "r") if name and self.stream.metadata.get("alpha_mode") == "1" else None

    def seek(self, pts: int) -> bool:
        """Continue at the last key frame up to a time; whether the container supports that."""
        if not self.is_indexed or self._container.format.name == "gif":  # its frames build on each other
            return False
        try:
            self._container.seek(pts, stream=self.stream)
        except av.FFmpegError:
            return False
        return True

    @property
    def has_sound(self) -> bool:
        """Whether the file has a sound track."""
        return bool(self._container.streams.audio)

    @property
    def rate(self) -> Fraction:
        """Average frames per second, as far as the file declares it."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return Fraction(rate) if rate else Fraction(25)

    @property
    def is_indexed(self) -> bool:
        """Whether container and codec store one shown frame and its time per packet."""
        container = self._container.format.name.split(",")[0]
        return container in _INDEXED_CONTAINERS and self.stream.codec.name in _INDEXED_CODECS

    @property
    def is_recording(self) -> bool:
        """Whether the container is a broadcast stream, in which lost packets and a cut end are common."""
        return self._container.format.name == "mpegts"

    def decode(self) -> Iterator[Any]:
        """Yield the frames from the current position; a damaged packet is counted and skipped.

        Raises:
            VideoError: If the file is truncated, or no frame can be decoded.
        """
        cut, decoder = False, self._alpha_decoder()
        packets = self._container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                raise self.truncated(self.count) from None
            if packet is None:
                break
            if packet.size:
                cut = packet.is_corrupt  # in most containers, the demuxer only marks a last, incomplete packet
                self.damaged += packet.is_corrupt
            try:
                frames = decoder.decode(packet if packet.size else None) if decoder else packet.decode()
            except av.InvalidDataError:
                self.damaged += not packet.is_corrupt
                continue
            except av.FFmpegError:
                raise self.truncated(self.count) from None
            for frame in frames:
                self.count += 1
                self.damaged += frame.is_corrupt
                yield frame
        # ffmpeg reports a truncated file as complete.
        if (cut and not self.is_recording) or is_truncated(self.path):
            raise self.truncated(self.count)
        if not self.count:
            raise self._unreadable()

    def packet_times(self) -> tuple[list[int], int] | None:
        """Read each frame's time from its packet, and the last frame's duration, in units of the stream's time base.

        None if packets are not reliable for this container or codec.
        """
        if not self.is_indexed:
            return None
        shown: dict[int, int] = {}
        key: int | None = None
        try:
            for packet in self._container.demux(self.stream):
                if not packet.size:
                    continue
                key = packet.pts if key is None and packet.is_keyframe else key
                # Decoders drop frames before the first key frame, or that reference one.
                if packet.is_corrupt or packet.pts is None or key is None or packet.pts < key or packet.pts in shown:
                    return None
                if not packet.is_discard:
                    shown[packet.pts] = packet.duration or 0
        except av.FFmpegError:
            return None
        return (sorted(shown), shown[max(shown)]) if shown else None

    def truncated(self, readable: int) -> VideoError:
        """The error for a truncated file."""
        repair = f"`ffmpeg -i {self.path.name} -c copy repaired.mkv`"
        return VideoError(
            self.path,
            found=f"a damaged or truncated video with {readable} readable frames",
            expected="a complete video",
            hint=f"copy or export it again, or save the readable part: {repair}",
        )

    def _unreadable(self) -> VideoError:
        if is_animated_webp(self.path):
            return VideoError(
                self.path,
                found="an animated WebP, which ffmpeg cannot decode",
                expected=_EXPECTED,
                hint=f"convert it, for example with ImageMagick: `magick {self.path.name} {self.path.stem}.mp4`",
            )
        return VideoError(
            self.path,
            topic="damaged-video",
            found="a damaged or truncated file, or no video",
            expected=_EXPECTED,
            hint="copy or export it again",
        )
