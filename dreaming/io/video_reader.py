"""Decoding of videos to upright RGB frames with exact timestamps, one frame at a time (PyAV)."""

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

from dreaming.constraints import PositiveFloat, PositiveInt
from dreaming.errors import VideoError
from dreaming.io.types import Image, Size
from dreaming.io.video_integrity import is_truncated
from dreaming.io.video_metadata import VideoMetadata

log = logging.getLogger(__name__)

# Containers and codecs in which each packet holds one shown frame and its time. Frames of the others (VP8 has hidden
# frames, AVI lacks times, MPEG-TS lacks an index) can only be counted by decoding.
_INDEXED_CONTAINERS = {"mov", "matroska", "gif"}
_INDEXED_CODECS = {"h264", "hevc", "av1", "vp9", "mjpeg", "prores", "ffv1", "gif", "dnxhd", "png", "qtrle"}
# AVCOL_SPC_*: RGB, BT.709, FCC, BT.470BG, SMPTE 170M, SMPTE 240M, BT.2020; 2 is "unspecified".
_NAMED_MATRICES = {0, 1, 4, 5, 6, 7, 9}


def probe(path: Path) -> VideoMetadata:
    """Read a video's size, rotation and frame times.

    In mp4, mov, mkv, webm and gif with a codec that stores one frame per packet, the frame times come from the packets
    and only the first frame is decoded. Other videos, and those with frames before the first key frame, are decoded.

    Raises:
        VideoError: If the file is absent, unreadable, truncated, or has no video stream.
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
    elif is_truncated(path):
        raise _truncated(path, len(pts))
    if first.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67):
        log.warning("%s: HDR video; without tone mapping, its frames look flat", path)
    if None in pts or any(later <= earlier for earlier, later in pairwise(pts)):
        log.warning("%s: frame times do not increase; assuming %s frames per second", path, rate)
        pts, time_base = list(range(len(pts))), 1 / rate
    return VideoMetadata(path.name, width, height, -first.rotation % 360, tuple(pts), time_base, rate, sound)


def read_frames(
    path: Path,
    *,
    start: PositiveInt = 1,
    end: int | None = None,
    every: PositiveInt = 1,
    size: Size | None = None,
    gamma: PositiveFloat = 1.0,
) -> Iterator[tuple[int, Image]]:
    """Decode a video into upright 8-bit RGB frames.

    The conversion respects the file's range (limited or full) and matrix. Without a named matrix it uses BT.709 for HD
    and BT.601 otherwise, as players do. Non-square pixels are resampled to square ones.

    Args:
        path: The video.
        start: Number of the first frame to return, counted from 1.
        end: Number of the last frame; None for the last of the video.
        every: Step from one frame to the next.
        size: (height, width) to resize to, in pixels; None keeps the video's size.
        gamma: Exponent of a tone curve over 0..1; above 1 darkens.

    Yields:
        A frame's number in the video, independent of skipped frames, and its image (H, W, 3).

    Raises:
        VideoError: If the file is absent, unreadable, truncated before ``end``, or has no video stream or fewer than
            ``start`` frames.
    """
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
        raise VideoError(path, found=f"{count} frames", expected=f"at least {start}, the first one to extract")


@contextmanager
def _open(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a video and select its first video stream."""
    if not path.is_file():
        raise VideoError(path, found="no such file", expected="a video")
    try:
        # An absolute path, because ffmpeg parses a name such as 12:30.mp4 as a URL with a protocol.
        container = av.open(str(path.resolve()), metadata_errors="replace")
    except (av.FFmpegError, ValueError):
        raise _unreadable(path) from None
    with container:
        # ffmpeg's "tty" demuxer renders any text file as an image.
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if container.format.name == "tty" or not len(container.streams):
            raise _unreadable(path)
        if not streams:
            types = ", ".join(sorted({stream.type for stream in container.streams}))
            raise VideoError(path, found=f"only streams of these types: {types}", expected="a video stream")
        if streams[0].codec_context is None:
            raise VideoError(path, found="a codec that ffmpeg cannot decode", expected="H.264, H.265, VP9 or similar")
        streams[0].thread_type = "AUTO"
        yield container, streams[0]


def _unreadable(path: Path) -> VideoError:
    return VideoError(
        path,
        found="a damaged or truncated file, or no video",
        expected="a complete video (mp4, mov, mkv, webm, gif, ...)",
        hint="copy or export it again",
    )


def _truncated(path: Path, readable: int) -> VideoError:
    return VideoError(
        path,
        found=f"a damaged or truncated video with {readable} readable frames",
        expected="a complete video",
        hint=f"copy or export it again, or save the readable part: `ffmpeg -i {path.name} -c copy repaired.mkv`",
    )


def _decode(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    """Yield all frames of a stream; raise an error if the file is truncated."""
    count, damaged, damaged_packet = 0, 0, False
    try:
        for packet in container.demux(stream):
            damaged_packet |= packet.is_corrupt
            for frame in packet.decode():
                count += 1
                damaged += frame.is_corrupt
                yield frame
    except av.FFmpegError:
        raise _truncated(path, count) from None
    # ffmpeg reports a truncated file as complete.
    if damaged_packet or is_truncated(path):
        raise _truncated(path, count)
    if not count:
        raise _unreadable(path)
    if damaged:
        log.warning("%s: %d of %d frames are damaged; the decoder concealed the errors", path, damaged, count)


def _times_of_packets(path: Path) -> list[int] | None:
    """Read each frame's time from its packet; None if packets are not reliable for this container or codec."""
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
                # Decoders drop frames before the first key frame, or that reference one.
                if packet.is_corrupt or packet.pts is None or key is None or packet.pts < key:
                    return None
                if not packet.is_discard:
                    shown.append(packet.pts)
        except av.FFmpegError:
            return None
        return sorted(shown) if len(set(shown)) == len(shown) else None


class _Upright:
    """Converter of decoded frames to upright RGB; one per video, because it caches the conversion's tables."""

    def __init__(self, pixel_aspect: Fraction | None) -> None:
        self._aspect = pixel_aspect or Fraction(1)
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any) -> Image:
        """Convert a frame to (H, W, 3)."""
        unnamed = frame.colorspace not in _NAMED_MATRICES and frame.format.name.startswith("yuv")
        hd = frame.width >= 1280 or frame.height > 576
        rgb = self._reformatter.reformat(
            frame,
            width=max(1, round(frame.width * self._aspect)),
            format="rgb24",
            src_colorspace=(Colorspace.ITU709 if hd else Colorspace.ITU601) if unnamed else None,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
        )
        return _apply_display_matrix(np.asarray(rgb.to_ndarray(), np.uint8), frame)


def _apply_display_matrix(image: Image, frame: Any) -> Image:
    """Rotate by quarter turns and mirror by the frame's matrix, which maps (x, y) to (a x + c y, b x + d y)."""
    matrix = next((bytes(data) for data in frame.side_data if data.type is SideData.DISPLAYMATRIX), None)
    if matrix is None:
        return np.ascontiguousarray(image)
    a, b, _, c, d = np.frombuffer(matrix, np.int32, count=5)
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
