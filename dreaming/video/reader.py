"""Metadata of videos, and their frames as upright RGB images with exact timestamps, one frame at a time."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dreaming.constraints import PositiveFloat, PositiveInt
from dreaming.errors import VideoError
from dreaming.io.types import Image, Size
from dreaming.video.colour import Colours
from dreaming.video.deinterlacing import deinterlace
from dreaming.video.frame import UNSUPPORTED_MATRICES, FrameConverter, is_plausible, rotation_of
from dreaming.video.integrity import ends_inside_packet, is_truncated
from dreaming.video.metadata import VideoMetadata
from dreaming.video.stream import VideoStream

log = logging.getLogger(__name__)

_FINE = 1000
"""Units per frame of an assumed frame rate, so that its first frame keeps the time of the source's clock."""
_LONGEST_GAP = 10
"""Seconds between frames of a broadcast stream from which on its clock is taken to have jumped, as by ffmpeg."""


def probe(path: Path) -> VideoMetadata:
    """Read a video's size, rotation and frame times.

    In mp4, mov, mkv, webm and gif with a codec that stores one frame per packet, the frame times come from the packets
    and only the first frame is decoded. Other videos, and those with frames before the first key frame, are decoded.

    Raises:
        VideoError: If the file is absent, unreadable, truncated, or has no video stream.
    """
    with VideoStream(path) as video:
        packets = video.packet_times()
    if packets is not None and is_truncated(path):
        raise video.truncated(len(packets[0]))
    with VideoStream(path) as video:
        frames = video.decode()
        first = next(frames)
        if packets is None:
            pts, duration = [first.pts], first.duration
            for frame in frames:
                pts.append(frame.pts)
                duration = frame.duration
        else:
            pts, duration = packets
        aspect = video.stream.sample_aspect_ratio
        height, width = FrameConverter(aspect)(first).shape[:2]
        recording = video.is_recording
        sound, sound_start, time_base, rate = video.has_sound, video.sound_start, video.stream.time_base, video.rate
    if aspect and not is_plausible(aspect):
        log.warning("%s: pixels of %s are not plausible; they are shown as square", path, aspect)
    rotation, exact = rotation_of(first)
    if abs(rotation - exact) > 1:
        log.warning("%s: rotated by %.0f degrees; frames are turned by %d degrees only", path, exact, rotation)
    if (peak := Colours.of(first).peak) > 0:
        log.info("%s: HDR with a peak of %.0f cd/m²; tone-mapped to SDR", path, peak)
    if first.format.name.startswith("yuv") and first.colorspace in UNSUPPORTED_MATRICES:
        log.warning(
            "%s: the colour matrix %s is not supported; colours will be wrong",
            path,
            UNSUPPORTED_MATRICES[first.colorspace],
        )
    if recording and None not in pts:
        _check_clock(path, [time * time_base for time in pts])
    if None in pts or any(later <= earlier for earlier, later in pairwise(pts)):
        log.warning("%s: frame times do not increase; assuming %s frames per second", path, rate)
        begin = next((time for time in pts if time is not None), 0) * time_base
        time_base, duration = 1 / (_FINE * rate), _FINE
        pts = [round(begin / time_base) + _FINE * index for index in range(len(pts))]
    return VideoMetadata(
        path.name, width, height, rotation, tuple(pts), time_base, rate, sound, sound_start, duration or None
    )


def _check_clock(path: Path, times: Sequence[Fraction]) -> None:
    """Refuse a broadcast stream joined from recordings of several clocks, whose sound could not be aligned."""
    for number, (before, after) in enumerate(pairwise(times), 2):
        if abs(after - before) > _LONGEST_GAP:
            raise VideoError(
                path,
                found=f"a clock that jumps by {float(after - before):.0f} s at frame {number}, as in joined recordings",
                expected="frames less than 10 s apart",
                hint=f"write it with one clock: `ffmpeg -i {path.name} -c copy repaired.mkv`",
            )


def read_frames(
    path: Path,
    source: VideoMetadata | None = None,
    *,
    start: PositiveInt = 1,
    end: int | None = None,
    every: PositiveInt = 1,
    size: Size | None = None,
    gamma: PositiveFloat = 1.0,
) -> Iterator[tuple[int, Image]]:
    """Decode a video into upright, progressive 8-bit RGB frames of one size.

    The conversion respects the file's range (limited or full) and matrix. Without a named matrix it uses BT.709 for HD
    and BT.601 otherwise, as players do. Other primaries than those of BT.709 are converted to sRGB, and HDR (PQ, HLG)
    is tone-mapped. Non-square pixels are resampled to square ones.

    Args:
        path: The video.
        source: Its metadata; None reads it.
        start: Number of the first frame to return, counted from 1.
        end: Number of the last frame; None for the last of the video.
        every: Step from one frame to the next.
        size: (height, width) to resize to, in pixels; None keeps the video's size.
        gamma: Exponent of a tone curve over 0..1; above 1 darkens.

    Yields:
        A frame's number in the video, independent of skipped frames, and its image (H, W, 3), or (H, W, 4) with its
        opacity, over black, if any of its pixels is transparent.

    Raises:
        VideoError: If the file is absent, unreadable, truncated, or has no video stream or fewer than ``start`` frames.
    """
    source = source or probe(path)
    if start > source.count:
        raise VideoError(path, found=f"{source.count} frames", expected=f"at least {start}, the first one to extract")
    wanted = range(start, min(end or source.count, source.count) + 1, every)
    curve = np.rint((np.arange(256) / 255.0) ** gamma * 255).astype(np.uint8)
    target = size or source.size
    with ExitStack() as stack:
        video, frames = _from(path, source, wanted[0], stack)
        convert = FrameConverter(video.stream.sample_aspect_ratio)
        changed = 0
        for number, frame in _numbered(frames, _numbers(video, source), wanted):
            image = convert(frame)
            if image.shape[:2] != source.size:
                changed += 1
            if image.shape[:2] != target:
                shrinks = target[0] <= image.shape[0] and target[1] <= image.shape[1]
                image = cv2.resize(image, target[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
            if gamma != 1:
                image[..., :3] = cv2.LUT(np.ascontiguousarray(image[..., :3]), curve)
            yield number, image
        if changed:
            height, width = source.size
            log.warning("%s: changes its size; scaled %d frames to %dx%d pixels", path, changed, width, height)
        if video.damaged:
            log.warning("%s: %d packets or frames are damaged; the decoder concealed the errors", path, video.damaged)
        if video.is_recording and ends_inside_packet(path):
            log.warning("%s: cut off inside a packet; using its %d readable frames", path, source.count)


def _numbers(video: VideoStream, source: VideoMetadata) -> dict[int, int]:
    """Numbers of the frames by their times, if these identify them."""
    if not video.is_indexed or source.time_base != video.stream.time_base:
        return {}
    return {pts: number for number, pts in enumerate(source.pts, 1)}


def _from(path: Path, source: VideoMetadata, start: int, stack: ExitStack) -> tuple[VideoStream, Iterator[Any]]:
    """Open a video and decode it from a key frame before ``start`` on, or from its first frame."""
    video = stack.enter_context(VideoStream(path))
    before = start - 2  # deinterlacing needs the frame before
    numbers = _numbers(video, source)
    if before > 1 and numbers and video.seek(source.pts[before - 1]):
        frames = video.decode()
        first = next(frames, None)
        if first is not None and numbers.get(first.pts, start) <= before:
            return video, deinterlace(chain([first], frames), path)
        video = stack.enter_context(VideoStream(path))
    return video, deinterlace(video.decode(), path)


def _numbered(frames: Iterator[Any], numbers: dict[int, int], wanted: range) -> Iterator[tuple[int, Any]]:
    """Yield the wanted frames with their numbers; a frame that cannot be decoded is replaced by its predecessor."""
    last, frame = 0, None
    for following in frames:
        number = max(last + 1, numbers.get(following.pts, 0))
        for skipped in range(last + 1, number):
            if skipped in wanted:
                yield skipped, following if frame is None else frame
        last, frame = number, following
        if number in wanted:
            yield number, frame
        if number >= wanted[-1]:
            return
    for missing in range(last + 1, wanted[-1] + 1):
        if missing in wanted:
            yield missing, frame
