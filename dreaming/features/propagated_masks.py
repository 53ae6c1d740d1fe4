"""Masks propagated from their frame to others, with a cache so that no path is computed twice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dreaming.artifacts.fingerprint import fingerprint
from dreaming.clip.clip import Clip
from dreaming.flow.propagation import FlowPropagator
from dreaming.imaging.resize import resize_image
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.types import Probability, Size

ERROR_LEVELS = 2
"""Levels per unit of the photometric error when it is stored in a byte; 127.5 is the largest."""

BYTES = 0.75
"""Size per pixel of a propagated mask in the temporary file, compressed: .73 on dance-twirl."""


@dataclass(frozen=True, eq=False)
class PropagationSource:
    """A mask that is propagated to other frames.

    Attributes:
        stem: Its frame.
        mask: (h, w) in 0..255, at the features' working size.
        name: Unique among all masks.
    """

    stem: str
    mask: NDArray[np.uint8]
    name: str

    @classmethod
    def from_hand_mask(cls, stem: str, mask: NDArray[np.bool_], size: Size) -> Self:
        """Resize a hand mask (H, W) to the working size."""
        return cls(stem, resize_image(mask.astype(np.uint8) * 255, size), f"{stem} {fingerprint(mask, list(size))}")


@dataclass(frozen=True, eq=False)
class PropagatedMask:
    """A mask as seen from another frame.

    Attributes:
        source: The mask before propagation.
        gap: Frames between the source and this frame; 0 at the source.
        mask: (h, w) in 0..1.
        error: (h, w), photometric error, see ``flow.propagation.PropagatedFrame``; at most 127.5.
        visible: (h, w) in 0..1, 0 where a pixel was occluded on the way.
    """

    source: PropagationSource
    gap: int
    mask: Probability
    error: NDArray[np.float32]
    visible: NDArray[np.float32]


@dataclass(eq=False)
class MaskPropagator:
    """Propagates masks to any frame, and caches them in a temporary file, with those on the way; thread-safe.

    Attributes:
        propagator: Propagates along the clip's flow.
        size: (height, width) of the masks.
    """

    clip: Clip
    propagator: FlowPropagator
    size: Size
    _locks: dict[tuple[str, bool], Lock] = field(default_factory=dict, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def __post_init__(self) -> None:
        # Most frames lie between two hand masks; simulations take less on long clips.
        items = 2 * len(self.clip.stems)
        self._buffer = DiskBuffer(self.clip.path, "propagated masks", items, BYTES * math.prod(self.size))
        self._indices = {stem: index for index, stem in enumerate(self.clip.stems)}

    def mask(self, source: PropagationSource, stem: str) -> PropagatedMask:
        """The source as seen from a frame, propagated if it is not cached; invisible from another shot."""
        gap = abs(self._indices[stem] - self._indices[source.stem])
        if gap == 0:
            zero = np.zeros(self.size, np.float32)
            return PropagatedMask(source, 0, source.mask * np.float32(1 / 255), zero, zero + 1)
        if not self.clip.shots.joined(source.stem, stem):
            zero = np.zeros(self.size, np.float32)
            return PropagatedMask(source, gap, zero, zero + 255 / ERROR_LEVELS, zero)
        self.propagate(source, stem)
        mask, error, visible = self._buffer.read((source.name, stem))
        parts = mask * np.float32(1 / 255), error * np.float32(1 / ERROR_LEVELS), visible * np.float32(1 / 255)
        return PropagatedMask(source, gap, *parts)

    def source_at(self, source: PropagationSource, stem: str) -> PropagationSource:
        """The source propagated to another frame, as a new source there, as if it were a hand mask of that frame."""
        self.propagate(source, stem)
        mask = self._buffer.read((source.name, stem))[0]
        return PropagationSource(stem, mask, f"{source.name} {stem}")

    def propagate(self, source: PropagationSource, end: str) -> None:
        """Propagate a source to a frame, and thereby to all frames on the way, unless the result is cached."""
        first, last = self._indices[source.stem], self._indices[end]
        forward = last > first
        with self._lock:
            lock = self._locks.setdefault((source.name, forward), Lock())
        with lock:
            if first == last or (source.name, end) in self._buffer:
                return
            stems = self.clip.stems
            self._propagate(source, stems[first : last + 1] if forward else stems[last : first + 1][::-1])

    def _propagate(self, source: PropagationSource, path: Sequence[str]) -> None:
        for frame in self.propagator.propagate(path, source.mask):
            if (source.name, frame.stem) in self._buffer:
                continue
            error, visible = (resize_image(part, self.size) for part in (frame.error, frame.visible))
            parts = [frame.sample(source.mask), _to_byte(error * ERROR_LEVELS), _to_byte(visible * 255)]
            self._buffer.write((source.name, frame.stem), parts)


def _to_byte(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
