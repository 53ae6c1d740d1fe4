"""Muxing of a source's sound track into a video."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av

from dreaming.errors import VideoError
from dreaming.video.stream import default_stream, open_media

log = logging.getLogger(__name__)

# Codecs that Chrome, Firefox and Safari all play in an mp4.
_PLAYABLE = ("aac", "mp3", "opus", "flac")


class Soundtrack:
    """Part of a file's sound track, muxed into ``output`` interleaved with the video.

    Args:
        output: An open output container whose header is not written yet.
        path: The video or sound file; None, or a file without sound, adds nothing.
        begin: Second of the source that becomes 0.
        end: Second of the source at which the part ends; None for the end of the sound.

    Raises:
        VideoError: If the file cannot be read.
    """

    def __init__(self, output: Any, path: Path | None, begin: Fraction, end: Fraction | None) -> None:
        self._output, self._path, self._begin, self._end = output, path, begin, end
        self._stack = ExitStack()
        self._packets: Iterator[tuple[Fraction, Any]] = iter(())
        self._pending: tuple[Fraction, Any] | None = None
        if path is None:
            return
        source = self._stack.enter_context(open_media(path, "a video or sound file"))
        stream = default_stream(source.streams.audio)
        if stream is not None:
            if len(source.streams.audio) > 1:
                number, language = source.streams.audio.index(stream) + 1, stream.language or "no language"
                log.info("%s: sound from track %d of %d (%s)", path, number, len(source.streams.audio), language)
            if stream.codec_context is not None and stream.codec_context.codec.canonical_name in _PLAYABLE:
                self._packets = self._copied(source, stream)
            else:
                self._packets = self._encoded(source, stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def mux_until(self, time: Fraction | None) -> None:
        """Mux the sound up to ``time``, in seconds of the output; None for the rest."""
        while True:
            if self._pending is None:
                try:
                    self._pending = next(self._packets, None)
                except av.FFmpegError:
                    raise self._unreadable() from None
            if self._pending is None or (time is not None and self._pending[0] > time):
                return
            self._output.mux(self._pending[1])
            self._pending = None

    def _copied(self, source: Any, stream: Any) -> Iterator[tuple[Fraction, Any]]:
        target = self._output.add_stream_from_template(stream)
        return self._trimmed(source, stream, target)

    def _trimmed(self, source: Any, stream: Any, target: Any) -> Iterator[tuple[Fraction, Any]]:
        """Yield the unchanged packets of the part, with their times in seconds of the output."""
        rate = stream.codec_context.sample_rate
        length = Fraction(stream.codec_context.frame_size or 0, rate)
        expected: Fraction | None = None
        warm_up: tuple[Fraction, Any] | None = None
        for packet in source.demux(stream):
            if packet.pts is None or not packet.size:
                continue
            time = packet.pts * packet.time_base - self._begin
            if self._end is not None and time >= self._end - self._begin:
                break
            # Matroska rounds times to milliseconds; packets of equal length give the exact sample.
            if length and expected is not None and abs(time - expected) <= 2 * packet.time_base:
                time = expected
            expected = time + length
            ends = time + max(length, (packet.duration or 0) * packet.time_base)
            packet.stream, packet.time_base = target, Fraction(1, rate)
            packet.pts = packet.dts = round(time * rate)
            if ends <= 0:
                warm_up = (time, packet)
                continue
            # A decoder needs the packet before the first audible one; the mp4's edit list hides it.
            if warm_up is not None:
                yield warm_up
                warm_up = None
            yield time, packet

    def _encoded(self, source: Any, stream: Any) -> Iterator[tuple[Fraction, Any]]:
        context = stream.codec_context
        if context is None:
            log.warning("%s: the sound cannot be decoded, so the video will be silent", self._path)
            return iter(())
        log.warning("%s: browsers do not play %s in an mp4; converting to AAC", self._path, context.codec.name)
        rate = context.sample_rate if context.sample_rate in (av.Codec("aac", "w").audio_rates or ()) else 48000
        layout = "mono" if context.channels == 1 else "stereo"
        target = self._output.add_stream("aac", rate=rate, layout=layout)
        return self._transcoded(source, stream, target)

    def _transcoded(self, source: Any, stream: Any, target: Any) -> Iterator[tuple[Fraction, Any]]:
        """Yield the part as AAC packets, exact to one AAC frame, with their times in seconds of the output."""
        context = target.codec_context
        resampler = av.AudioResampler(
            format=context.format, layout=context.layout, rate=context.sample_rate, frame_size=1024
        )
        for frame in chain(source.decode(stream), [None]):
            if frame is not None:
                start = frame.pts * frame.time_base - self._begin
                if self._end is not None and start >= self._end - self._begin:
                    continue
                if start + Fraction(frame.samples, frame.sample_rate) <= 0:
                    continue
                frame.pts = round(start * frame.sample_rate)
                frame.time_base = Fraction(1, frame.sample_rate)
            for part in resampler.resample(frame):
                yield from self._timed(target.encode(part))
        yield from self._timed(target.encode(None))

    @staticmethod
    def _timed(packets: list[Any]) -> Iterator[tuple[Fraction, Any]]:
        return ((packet.pts * packet.time_base, packet) for packet in packets)

    def _unreadable(self) -> VideoError:
        return VideoError(
            self._path,
            found="a damaged sound track",
            expected="one that is readable to its end",
            hint="copy or export the video again",
        )
