"""The optical flow of all neighbouring frames of a clip, both ways, computed once and kept in its ``flow/`` folder."""

import io
import logging
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import MANIFEST, Clip
from dreaming.flow.dis import DisFlow
from dreaming.flow.warp import resize_flow
from dreaming.io.atomic import discard_unfinished, write_atomically
from dreaming.io.manifest import Manifest, describe
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Flow, Size
from dreaming.progress import Bar, bar

log = logging.getLogger(__name__)

SUFFIX = ".npz"
PARTS = ("forward", "backward")
STEPS = 32
"""Steps of a pixel to which stored flow is rounded: a sixth of the bytes, and an error below that of any flow."""
HEADER = threading.Lock()
"""One header is read at a time: up to Python 3.12 two threads that parse a literal at once may end in a SystemError."""
Pair = tuple[NDArray[np.float16], NDArray[np.float16]]
"""Flow from a frame to the next one and back, (2, h, w) each."""


class FlowCache:
    """Flow between neighbouring frames, made where it is missing and never made twice.

    A file holds one pair, named like its earlier frame: float16, in pixels of the working size, with a zip's checksum.
    The folder's manifest tells which frames and config all its files belong to.

    Args:
        clip: The clip.
        flow: How flow is computed.
    """

    version = 1

    def __init__(self, clip: Clip, flow: DisFlow) -> None:
        self._clip, self._flow = clip, flow
        self.path = clip.path / "flow"
        self._places = {stem: place for place, stem in enumerate(clip.stems)}
        self._completed = set[str]()

    @property
    def pairs(self) -> list[str]:
        """Names of all pairs: every frame but the last."""
        return self._clip.stems[:-1]

    @property
    def flow(self) -> DisFlow:
        """How flow is computed."""
        return self._flow

    @cached_property
    def working_size(self) -> Size:
        """(height, width) of the stored flow."""
        return self._flow.working_size(self._clip.size)

    @cached_property
    def manifest(self) -> Manifest:
        """What the folder depends on."""
        return Manifest("flow", self.version, describe(self._flow), {"frames": self._clip.frames_fingerprint})

    def pairs_between(self, start: str, end: str) -> list[str]:
        """Names of the pairs on the way from a frame to another, in the clip's order."""
        first, last = sorted((self._places[start], self._places[end]))
        return self._clip.stems[first:last]

    def complete(self, pairs: Iterable[str] | None = None, *, workers: int = 2, share: str = "all") -> None:
        """Make what is missing of these pairs, with a progress bar; a second process of one share waits, then is done.

        Those that this object has completed before are taken to be there.

        Args:
            pairs: Names of pairs, in any order, the same one maybe several times; None for all.
            workers: Pairs computed at once.
            share: What tells these pairs from those of another process at work on the same clip.
        """
        asked = set(self.pairs if pairs is None else pairs) - self._completed
        if asked:
            self._complete(sorted(asked, key=self._places.__getitem__), workers, share)
            self._completed |= asked

    def _complete(self, pairs: list[str], workers: int, share: str) -> None:
        with self._clip.lock(f"flow-{share}", "flow: waiting for another process that makes it"):
            self._prepare()
            discard_unfinished(self.path, (self._file(stem).name for stem in pairs))
            missing = [stem for stem in pairs if not self._file(stem).exists()]
            if not missing:
                log.info("flow: done before, %d pairs of frames", len(pairs))
                return
            with bar("flow", len(missing)) as progress:
                for _ in self._make_all(missing, workers):
                    progress.advance()
            self._add_time(progress)
            rate = progress.done / max(progress.seconds, 1e-9)
            log.info("flow: %d pairs in %.1f s (%.1f pairs/s)", progress.done, progress.seconds, rate)

    def between(self, start: str, end: str) -> Flow:
        """Where each pixel of frame ``start`` lies in its neighbour ``end``, in pixels of the frames, (H, W, 2)."""
        return resize_flow(self.both_ways(start, end)[0], self._clip.size)

    def both_ways(self, start: str, end: str) -> tuple[Flow, Flow]:
        """Flow from frame ``start`` to its neighbour ``end`` and back, (h, w, 2) each, in pixels of the working size.

        A file that is missing or damaged is made again.
        """
        step = self._places[end] - self._places[start]
        assert abs(step) == 1, "only neighbours have a flow"
        pair = self._read(start if step == 1 else end)
        forward, backward = (cv2.merge([*part.astype(np.float32)]) for part in pair)
        return (forward, backward) if step == 1 else (backward, forward)

    def _file(self, stem: str) -> Path:
        return self.path / f"{stem}{SUFFIX}"

    def _read(self, stem: str) -> Pair:
        path = self._file(stem)
        try:
            pair = _decoded(path.read_bytes())
            if all(part.shape == (2, *self.working_size) and np.isfinite(part).all() for part in pair):
                return pair
            found = "of another size or not finite"
        except FileNotFoundError:
            found = "missing"
        except ValueError as error:
            found = f"damaged ({error})"
        log.warning("%s is %s and made again", path, found)
        places = self._places[stem]
        grey = [self._flow.prepare(self._clip.frames.read(name)) for name in self._clip.stems[places : places + 2]]
        return self._make(stem, grey[0], grey[1])

    def _make(self, stem: str, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Pair:
        pair = _rounded(self._flow.between(one, other)), _rounded(self._flow.between(other, one))
        write_atomically(self._file(stem), _encoded(pair))
        return pair

    def _make_all(self, stems: list[str], workers: int) -> Iterator[Pair]:
        """Make pairs by threads; each frame is decoded once."""
        return prefetch_map(lambda prepared: self._make(*prepared), self._prepared(stems), workers)

    def _prepared(self, stems: Iterable[str]) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]:
        wanted = [self._places[stem] for stem in stems]
        needed = sorted({place + offset for place in wanted for offset in (0, 1)})
        firsts, names = set(wanted), self._clip.stems
        before: tuple[str, NDArray[np.uint8]] | None = None
        for stem, image in self._clip.frames.read_ahead([names[place] for place in needed], depth=2):
            grey = self._flow.prepare(image)
            if self._places[stem] - 1 in firsts:
                assert before is not None
                yield before[0], before[1], grey
            before = stem, grey

    def _prepare(self) -> None:
        """Remove flow of other frames or another config, then say what is being made."""
        with self._clip.lock("flow-manifest", "flow: waiting for another process"):
            discard_unfinished(self.path, [MANIFEST])
            found = Manifest.read(self.path / MANIFEST)
            if found == self.manifest:
                return
            old = list(self.path.glob(f"*{SUFFIX}"))
            if found is not None:
                log.info("flow: made again, for what it depends on changed: %s", self.manifest.difference(found))
            elif old:
                log.warning("flow: made again, for nothing says how the %d files there were made", len(old))
            for path in old:
                path.unlink(missing_ok=True)
            self.manifest.write(self.path / MANIFEST)

    def _add_time(self, progress: Bar) -> None:
        with self._clip.lock("flow-manifest", "flow: waiting for another process"):
            before = Manifest.read(self.path / MANIFEST)
            if before is None or before != self.manifest:
                log.warning("%s: another process made it otherwise meanwhile; run this again", self.path)
                return
            spent = replace(before, seconds=before.seconds + progress.seconds, frames=before.frames + progress.done)
            spent.write(self.path / MANIFEST)


def _rounded(flow: Flow) -> NDArray[np.float16]:
    return (np.rint(flow.transpose(2, 0, 1) * STEPS) / STEPS).astype(np.float16)


def _encoded(pair: Pair) -> bytes:
    """As ``numpy.savez_compressed`` does it, but at the fastest level: nearly as small, in a fifth of the time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, part in zip(PARTS, pair, strict=True):
            array = io.BytesIO()
            np.lib.format.write_array(array, part, allow_pickle=False)
            # A fixed time, so that the same flow gives the same bytes.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=1)
    return buffer.getvalue()


def _decoded(data: bytes) -> Pair:
    """The pair in a file.

    Raises:
        ValueError: If a single bit is wrong, for a zip holds checksums.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            forward, backward = (_array(archive.read(f"{name}.npy")) for name in PARTS)
    # By a flip a zip may also call itself encrypted, of a later version, or packed in another way.
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError, OSError) as error:
        raise ValueError(str(error)) from error
    return forward, backward


def _array(data: bytes) -> NDArray[np.float16]:
    file = io.BytesIO(data)
    with HEADER:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape)
