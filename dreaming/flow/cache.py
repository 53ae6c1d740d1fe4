"""The optical flow between neighbouring frames of a clip, both ways, computed once and kept in its ``flow/`` folder."""

import logging
import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import describe
from dreaming.artifacts.folder import ArtifactFolder
from dreaming.artifacts.manifest import Manifest
from dreaming.clip.clip import Clip
from dreaming.flow.dis import DisFlow
from dreaming.flow.warp import resize_flow
from dreaming.io.atomic import discard_unfinished, unfinished_files, write_atomically
from dreaming.io.cache_size import announce
from dreaming.io.frame_folder import FrameFolder, signed
from dreaming.io.locks import try_lock
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Flow, Size
from dreaming.progress import Bar, bar

log = logging.getLogger(__name__)

STEPS = 32
"""Steps of a pixel to which stored flow is rounded: the error is below that of any flow."""
ZERO = 2**15
"""Stored value of no motion."""
BLOCK = 32
"""Neighbouring pairs that a process computes before it checks which pairs other processes have computed."""
BYTES = 1.8
"""Size of a stored pair per pixel of the working size, see ``encode``."""
Pair: TypeAlias = tuple[Flow, Flow]
"""Flow (h, w, 2) from a frame to the next one and back."""


class FlowCache:
    """Flow between neighbouring frames, computed once.

    A file holds one pair and is named like its earlier frame. Its format is described at ``encode``. Several processes
    share the work: each takes the next block of pairs that no other one works on.
    """

    version = 2

    def __init__(self, clip: Clip, flow: DisFlow) -> None:
        self._clip, self.flow = clip, flow
        self.path = clip.path / "flow"
        self._folder = ArtifactFolder(FrameFolder(self.path), clip.path, "flow")
        self._index = {stem: index for index, stem in enumerate(clip.stems)}
        self._completed = set[str]()

    @property
    def pairs(self) -> list[str]:
        """Names of all pairs: every frame but the last of each shot."""
        return self._clip.shots.pairs

    @cached_property
    def working_size(self) -> Size:
        """(height, width) of the stored flow."""
        return self.flow.working_size(self._clip.size)

    @cached_property
    def manifest(self) -> Manifest:
        """What the folder depends on."""
        return Manifest("flow", self.version, describe(self.flow), {"frames": self._clip.frames_fingerprint})

    def pairs_between(self, start: str, end: str) -> list[str]:
        """Names of the pairs on the way from a frame to another, in the clip's order."""
        first, last = sorted((self._index[start], self._index[end]))
        return self._clip.stems[first:last]

    def holds(self, pairs: Iterable[str]) -> bool:
        """Whether all of these pairs are on disk."""
        return not self._folder.missing(pairs, self.manifest)

    def complete(self, pairs: Iterable[str] | None = None, *, workers: int = 2) -> int:
        """Compute those of the pairs (None: of all) that are missing, wait for other processes, return the number.

        Pairs that this object has completed before are not looked up again.
        """
        asked = sorted(set(self.pairs if pairs is None else pairs) - self._completed, key=self._index.__getitem__)
        missing = self._folder.missing(asked, self.manifest) if asked else []
        computed = self._complete(missing, workers) if missing else 0
        if asked and not missing:
            log.debug("flow: up to date (%d pairs)", len(asked))
        self._completed.update(asked)
        return computed

    def _complete(self, missing: list[str], workers: int) -> int:
        announce(self._clip.path, "flow", len(missing), BYTES * math.prod(self.working_size))
        self._folder.prepare(self.manifest, self._clip.stems[:-1])
        by_block = groupby(missing, lambda stem: self._index[stem] // BLOCK)
        blocks = {block: list(stems) for block, stems in by_block}
        left = unfinished_files(self.path)  # listed once, because there are many blocks
        with bar("flow", len(missing)) as progress:
            for block in list(blocks):
                with try_lock(self._clip.path, self._folder.lock_name(str(block))) as is_mine:
                    if is_mine:
                        self._fill(blocks.pop(block), left, workers, progress)
            for block, stems in blocks.items():
                with self._folder.lock(str(block)):
                    self._fill(stems, left, workers, progress)
        if progress.done:
            self._folder.add_time(self.manifest, progress)
            rate = progress.done / max(progress.seconds, 1e-9)
            log.info("flow: %d pairs in %.1f s (%.1f pairs/s)", progress.done, progress.seconds, rate)
        return progress.done

    def _fill(self, stems: list[str], left: list[Path], workers: int, progress: Bar) -> None:
        """Compute those of the pairs of a block that are still missing; its lock is held."""
        discard_unfinished(self.path, [self._file(stem).name for stem in stems] if left else (), left)
        missing = [stem for stem in stems if not self._file(stem).exists()]
        progress.skip(len(stems) - len(missing))
        for _ in prefetch_map(lambda prepared: self._compute(*prepared), self._prepared(missing), workers):
            progress.advance()

    def between(self, start: str, end: str) -> Flow:
        """Where each pixel of frame ``start`` lies in its neighbour ``end``, in pixels of the frames, (H, W, 2)."""
        return resize_flow(self.both_ways(start, end)[0], self._clip.size)

    def both_ways(self, start: str, end: str) -> Pair:
        """Flow from frame ``start`` to its neighbour ``end`` and back, (h, w, 2) each, in pixels of the working size.

        A file that is missing or damaged is replaced.
        """
        step = self._index[end] - self._index[start]
        assert abs(step) == 1, "only neighbours have a flow"
        assert self._clip.shots.joined(start, end), "there is no flow across a cut"
        forward, backward = self._read(start if step == 1 else end)
        return (forward, backward) if step == 1 else (backward, forward)

    def _file(self, stem: str) -> Path:
        (path,) = self._folder.frames.outputs(stem)
        return path

    def _read(self, stem: str) -> Pair:
        path = self._file(stem)
        pair = decode(path.read_bytes(), self.working_size) if path.is_file() else None
        if pair is not None:
            return pair
        found = "damaged or of another size" if path.exists() else "missing"
        log.warning("%s: %s, so computed again", path, found)
        index = self._index[stem]
        grey = [self.flow.prepare(self._clip.frames.read(name)) for name in self._clip.stems[index : index + 2]]
        return self._compute(stem, grey[0], grey[1])

    def _compute(self, stem: str, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Pair:
        data = encode((self.flow.between(one, other), self.flow.between(other, one)))
        write_atomically(self._file(stem), data)
        pair = decode(data, self.working_size)
        assert pair is not None
        return pair

    def _prepared(self, stems: Iterable[str]) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]:
        """Yield each pair's name and its two prepared frames; each frame is decoded once."""
        firsts, names = {self._index[stem] for stem in stems}, self._clip.stems
        needed = sorted({index + offset for index in firsts for offset in (0, 1)})
        before: tuple[str, NDArray[np.uint8]] | None = None
        for stem, image in self._clip.frames.read_ahead([names[index] for index in needed], depth=2):
            grey = self.flow.prepare(image)
            if self._index[stem] - 1 in firsts:
                assert before is not None
                yield before[0], before[1], grey
            before = stem, grey


def encode(pair: Pair) -> bytes:
    """Encode a pair as a grey 16-bit PNG (4h, w): x and y of the forward flow, then of the backward flow.

    As in KITTI's format, a value is the motion in steps of a pixel plus ``ZERO``; here a step is 1 / ``STEPS``, and
    motion beyond 1023 pixels is clipped. Measured on DAVIS frames at half size (240 x 427): 185 kB, 14 ms to encode
    and 7 ms to decode a pair; float16 in a zip takes 264 kB, 14 ms and 6 ms.
    """
    planes = np.concatenate([flow.transpose(2, 0, 1).reshape(-1, flow.shape[1]) for flow in pair])  # (4h, w)
    values = np.clip(np.rint(planes * STEPS) + ZERO, 0, 2**16 - 1).astype(np.uint16)
    # Run lengths of differences: the smallest of OpenCV's choices, and nearly the fastest.
    return signed(cv2.imencode(".png", values, [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE])[1].tobytes())


def decode(data: bytes, size: Size) -> Pair | None:
    """Decode a pair of flow of ``size``; None if the file is damaged (each chunk has a checksum) or of another size."""
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if values is None or values.dtype != np.uint16 or values.shape != (4 * size[0], size[1]):
        return None
    planes = ((values.astype(np.float32) - ZERO) / STEPS).reshape(4, *size)
    return cv2.merge([*planes[:2]]), cv2.merge([*planes[2:]])
