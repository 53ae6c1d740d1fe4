"""A video file to upright RGB frames with their true times (PyAV), streaming."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition
from av.video.reformatter import Colorspace, ColorTrc, Interpolation, VideoReformatter

from dreaming.errors import ConfigError, VideoError
from dreaming.io.types import Image, Size
from dreaming.io.video_integrity import is_cut_off
from dreaming.io.video_metadata import VideoMetadata

log = logging.getLogger(__name__)

# Containers and codecs in which one packet is one shown frame and carries its time: the others (VP8's hidden frames,
# AVI's missing times, MPEG-TS) have to be decoded to be counted.
_INDEXED_CONTAINERS = {"mov", "matroska", "gif"}
_INDEXED_CODECS = {"h264", "hevc", "av1", "vp9", "mjpeg", "prores", "ffv1", "gif", "dnxhd", "png", "qtrle"}
# AVCOL_SPC_*: RGB, BT.709, FCC, BT.470BG, SMPTE 170M, SMPTE 240M, BT.2020; 2 is "unspecified".
_NAMED_MATRICES = {0, 1, 4, 5, 6, 7, 9}


def probe(path: Path) -> VideoMetadata:
    """Measure a video without decoding more than its first frame, where its container can be relied on.

    In mp4, mov, mkv, webm and gif with a codec that makes one shown frame of one packet, frames are counted from
    the packets, with their times; what relies on frames before the first key frame, and everything else, is decoded.

    Raises:
        VideoError: If the file is absent, unreadable, cut off, or has no pictures.
    """
    with _open(path) as (container, stream):
        first = next(_decode(path, container, stream))
        height, width = _Upright(stream.sample_aspect_ratio)(first).shape[:2]
        sound = bool(container.streams.audio)
        time_base, rate = stream.time_base, stream.average_rate or stream.guessed_rate or Fraction(25)
    pts = _times_of_packets(path)
    if pts is None:
        with _open(path) as (container, stream):
            pts = [frame.pts for frame in _decode(path, container, stream)]
    elif is_cut_off(path):
        raise _cut_off(path, len(pts))
    if first.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67):
        log.warning("%s: an HDR video; its tones are not mapped, so that its frames look flat", path)
    if None in pts or any(later <= earlier for earlier, later in pairwise(pts)):
        log.warning("%s: its frames have no rising times; %s frames a second are assumed", path, rate)
        pts, time_base = list(range(len(pts))), 1 / rate
    return VideoMetadata(path.name, width, height, -first.rotation % 360, tuple(pts), time_base, rate, sound)


def read_frames(
    path: Path,
    *,
    start: int = 1,
    end: int | None = None,
    every: int = 1,
    size: Size | None = None,
    gamma: float = 1.0,
) -> Iterator[tuple[int, Image]]:
    """Decode a video into upright 8-bit RGB frames, one after the other.

    Limited and full range, and the matrix that the file names (BT.709 for unnamed HD, else BT.601, as players
    assume), are honoured; pixels that are not square are stretched until they are.

    Args:
        path: The video.
        start: Place of the first frame to give; the video's first is 1.
        end: Place of the last frame; None for the video's last.
        every: Step from one frame to the next.
        size: (height, width) to resize to, in pixels; None keeps the video's.
        gamma: Exponent of a tone curve over 0..1; above 1 darkens.

    Yields:
        A frame's place in the video, whatever was skipped, and its picture (H, W, 3).

    Raises:
        ConfigError: If the range, step, size or gamma makes no sense.
        VideoError: If the file is absent, unreadable, cut off before ``end``, or has no pictures.
    """
    _check_range(start, end, every, size, gamma)
    curve = np.rint((np.arange(256) / 255.0) ** gamma * 255).astype(np.uint8)
    count = 0
    with _open(path) as (container, stream):
        upright = _Upright(stream.sample_aspect_ratio)
        for count, frame in enumerate(_decode(path, container, stream), 1):
            if end is not None and count > end:
                return
            if count < start or (count - start) % every:
                continue
            image = upright(frame)
            if size is not None and size != image.shape[:2]:
                shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
                image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
            yield count, image if gamma == 1 else cv2.LUT(image, curve)
    if start > count:
        raise _misfit("start", start, f"a place among the {count} frames of {path}")


def _check_range(start: int, end: int | None, every: int, size: Size | None, gamma: float) -> None:
    if start < 1:
        raise _misfit("start", start, "1 or more")
    if end is not None and end < start:
        raise _misfit("end", end, f"no less than start, {start}")
    if every < 1:
        raise _misfit("every", every, "1 or more")
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise _misfit("size", list(size), "height and width in pixels")
    if not 0 < gamma < float("inf"):
        raise _misfit("gamma", gamma, "a number above 0")


def _misfit(key: str, value: object, expected: str) -> ConfigError:
    return ConfigError(f"stage.extract.{key}", found=str(value), expected=expected, hint="change it")


@contextmanager
def _open(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first stream of moving pictures."""
    if not path.is_file():
        raise VideoError(path, found="no such file", expected="a video", hint="correct video=")
    try:
        # An absolute path, since ffmpeg takes a name such as 12:30.mp4 for a protocol.
        container = av.open(str(path.resolve()), metadata_errors="replace")
    except (av.FFmpegError, ValueError):
        raise _unreadable(path) from None
    with container:
        # ffmpeg's "tty" demuxer draws any text file as a picture.
        pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if container.format.name == "tty" or not len(container.streams):
            raise _unreadable(path)
        if not pictures:
            raise VideoError(
                path,
                found="a video without pictures, only " + ", ".join(sorted({s.type for s in container.streams})),
                expected="at least one stream of moving pictures",
                hint="correct video=",
            )
        if pictures[0].codec_context is None:
            raise VideoError(
                path,
                found="a codec that cannot be decoded",
                expected="H.264, H.265, VP9 or the like",
                hint="export it so",
            )
        pictures[0].thread_type = "AUTO"
        yield container, pictures[0]


def _unreadable(path: Path) -> VideoError:
    return VideoError(
        path,
        found="a file that is damaged, cut off or no video",
        expected="a whole video (mp4, mov, mkv, webm, gif, ...)",
        hint="copy or export it again",
    )


def _cut_off(path: Path, readable: int) -> VideoError:
    return VideoError(
        path,
        found=f"a video that is damaged or ends too early, {readable} frames could be read",
        expected="a whole video",
        hint=f"copy or export it again, or keep what can be read with `ffmpeg -i {path.name} -c copy repaired.mkv`",
    )


def _decode(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    """All frames of a stream; an error in place of an early end."""
    count, damaged, damaged_packet = 0, 0, False
    try:
        for packet in container.demux(stream):
            damaged_packet |= packet.is_corrupt
            for frame in packet.decode():
                count += 1
                damaged += frame.is_corrupt
                yield frame
    except av.FFmpegError:
        raise _cut_off(path, count) from None
    # ffmpeg ends a cut-off file as if it were whole.
    if damaged_packet or is_cut_off(path):
        raise _cut_off(path, count)
    if not count:
        raise _unreadable(path)
    if damaged:
        log.warning("%s: %d of its %d frames are damaged and were patched up by the decoder", path, damaged, count)


def _times_of_packets(path: Path) -> list[int] | None:
    """When each frame is shown, told by its packet; None where packets cannot be relied on."""
    with _open(path) as (container, stream):
        if container.format.name.split(",")[0] not in _INDEXED_CONTAINERS or stream.codec.name not in _INDEXED_CODECS:
            return None
        shown: list[int] = []
        key: int | None = None
        try:
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                key = packet.pts if key is None and packet.is_keyframe else key
                # Decoders drop what precedes the first key frame or leans on what came before it.
                if packet.is_corrupt or packet.pts is None or key is None or packet.pts < key:
                    return None
                if not packet.is_discard:
                    shown.append(packet.pts)
        except av.FFmpegError:
            return None
        return sorted(shown) if len(set(shown)) == len(shown) else None


class _Upright:
    """Turn decoded frames into upright RGB; one for each video, since it keeps the conversion's tables."""

    def __init__(self, pixel_aspect: Fraction | None) -> None:
        self._aspect = pixel_aspect or Fraction(1)
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any) -> Image:
        """One frame (H, W, 3)."""
        unnamed = frame.colorspace not in _NAMED_MATRICES and frame.format.name.startswith("yuv")
        hd = frame.width >= 1280 or frame.height > 576
        rgb = self._reformatter.reformat(
            frame,
            width=max(1, round(frame.width * self._aspect)),
            format="rgb24",
            src_colorspace=(Colorspace.ITU709 if hd else Colorspace.ITU601) if unnamed else None,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
        )
        return _turn(np.asarray(rgb.to_ndarray(), np.uint8), frame)


def _turn(image: Image, frame: Any) -> Image:
    """Apply a frame's display matrix, quarter turns and mirrorings; (x, y) goes to (a x + c y, b x + d y)."""
    side = next((bytes(data) for data in frame.side_data if data.type is SideData.DISPLAYMATRIX), None)
    if side is None:
        return np.ascontiguousarray(image)
    a, b, _, c, d = np.frombuffer(side, np.int32, count=5)
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
