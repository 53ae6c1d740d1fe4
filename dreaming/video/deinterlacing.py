"""Deinterlacing of decoded frames by ffmpeg's bwdif filter."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av
from av.filter import Graph

log = logging.getLogger(__name__)


def deinterlace(frames: Iterable[Any], path: Path) -> Iterator[Any]:
    """Replace interlaced frames by progressive ones, one for each, at the same times.

    Frames that are not marked as interlaced pass unchanged. The filter needs the frames before and after.

    Args:
        frames: Decoded frames, in order.
        path: The video, for the log.
    """
    graph: Graph | None = None
    kind: tuple[Any, ...] = ()
    waiting: deque[Any] = deque()
    for frame in frames:
        found = frame.width, frame.height, frame.format.name
        if graph is not None and found != kind:
            yield from _drain(graph, waiting)
            graph = None
        if graph is None and frame.interlaced_frame:
            if not kind:
                log.info("%s: interlaced video, deinterlaced", path)
            graph, kind = _graph(frame), found
        if graph is None:
            yield frame
            continue
        waiting.append(frame)
        graph.vpush(frame)
        yield from _pull(graph, waiting)
    if graph is not None:
        yield from _drain(graph, waiting)


def _graph(frame: Any) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(
        source,
        graph.add("bwdif", "mode=send_frame:deint=interlaced"),
        graph.add("format", frame.format.name),
        graph.add("buffersink"),
    ).configure()
    return graph


def _drain(graph: Graph, waiting: deque[Any]) -> Iterator[Any]:
    graph.vpush(None)
    yield from _pull(graph, waiting)


def _pull(graph: Graph, waiting: deque[Any]) -> Iterator[Any]:
    """Yield the finished frames, with the times and colours of the frames that they replace."""
    while waiting:
        try:
            frame = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        original = waiting.popleft()
        frame.pts, frame.time_base = original.pts, original.time_base
        frame.colorspace, frame.color_range = original.colorspace, original.color_range
        frame.color_primaries, frame.color_trc = original.color_primaries, original.color_trc
        yield frame
