"""Masks carried from their frame to others and kept, so that none is carried along the same way twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.flow.propagation import FlowPropagator
from dreaming.imaging.resize import resize_image
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.manifest import fingerprint
from dreaming.io.types import Probability, Size

ERROR_STEPS = 2
"""Steps of the photometric error in which it is kept in a byte; 127.5 is the largest."""


@dataclass(frozen=True, eq=False)
class PropagationSource:
    """A mask that others are carried from.

    Attributes:
        stem: Its frame.
        mask: (h, w) in 0..255, at the evidence's working size.
        name: Tells it from any other mask.
    """

    stem: str
    mask: NDArray[np.uint8]
    name: str

    @classmethod
    def painted(cls, stem: str, mask: NDArray[np.bool_], size: Size) -> Self:
        """A hand mask (H, W), brought to the working size."""
        return cls(stem, resize_image(mask.astype(np.uint8) * 255, size), f"{stem} {fingerprint(mask, list(size))}")


@dataclass(frozen=True, eq=False)
class PropagatedMask:
    """What one source says of a frame.

    Attributes:
        source: The mask that was carried there.
        gap: Frames between it and this one; 0 for its own.
        mask: (h, w) in 0..1.
        error: (h, w), photometric, as ``frames.carry.Carried`` has it, up to 127.5.
        visible: (h, w) in 0..1, 0 where a pixel was hidden on the way.
    """

    source: PropagationSource
    gap: int
    mask: Probability
    error: NDArray[np.float32]
    visible: NDArray[np.float32]


@dataclass(eq=False)
class MaskPropagator:
    """Sides of any frame, made along the way to it and kept in a temporary file; safe from several threads.

    Attributes:
        clip: The clip.
        carrier: Carries along its flow.
        size: (height, width) that masks are kept at.
    """

    clip: Clip
    carrier: FlowPropagator
    size: Size
    _locks: dict[tuple[str, bool], Lock] = field(default_factory=dict, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def __post_init__(self) -> None:
        self._spool = DiskBuffer(self.clip.path)
        self._places = {stem: place for place, stem in enumerate(self.clip.stems)}

    def side(self, source: PropagationSource, stem: str) -> PropagatedMask:
        """What a source says of a frame; it is carried there if it was not before."""
        gap = abs(self._places[stem] - self._places[source.stem])
        if gap == 0:
            still = np.zeros(self.size, np.float32)
            return PropagatedMask(source, 0, source.mask * np.float32(1 / 255), still, still + 1)
        self.carry(source, stem)
        mask, error, visible = self._spool.read((source.name, stem))
        parts = mask * np.float32(1 / 255), error * np.float32(1 / ERROR_STEPS), visible * np.float32(1 / 255)
        return PropagatedMask(source, gap, *parts)

    def again(self, source: PropagationSource, stem: str) -> PropagationSource:
        """A source as it arrived at another frame, to be carried on from there as if it had been painted there."""
        self.carry(source, stem)
        mask = self._spool.read((source.name, stem))[0]
        return PropagationSource(stem, mask, f"{source.name} {stem}")

    def carry(self, source: PropagationSource, end: str) -> None:
        """See to it that a source has been carried to a frame, and so to all on the way."""
        start, stop = self._places[source.stem], self._places[end]
        onward = stop > start
        with self._lock:
            lock = self._locks.setdefault((source.name, onward), Lock())
        with lock:
            if start == stop or (source.name, end) in self._spool:
                return
            stems = self.clip.stems
            self._carry(source, stems[start : stop + 1] if onward else stems[stop : start + 1][::-1])

    def _carry(self, source: PropagationSource, path: Sequence[str]) -> None:
        for carried in self.carrier.propagate(path):
            if (source.name, carried.stem) in self._spool:
                continue
            error, visible = (resize_image(part, self.size) for part in (carried.error, carried.visible))
            parts = [carried.sample(source.mask), _byte(error * ERROR_STEPS), _byte(visible * 255)]
            self._spool.write((source.name, carried.stem), parts)


def _byte(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
