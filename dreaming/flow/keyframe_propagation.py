"""The stylised keyframes of a layer on their way through a clip: what lies around a frame, and how it arrives there."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.clip.keyframe_folder import KeyframeFolder
from dreaming.flow.propagation import FlowPropagator, PropagatedFrame
from dreaming.imaging.resize import resize_image
from dreaming.io.types import Flow, Image

TENTHS = 10
"""Steps of an e-fold in which a side's weight is kept in a byte."""

UNPAINTED = np.uint8(255)
"""Doubt, in those steps, where a keyframe is not painted: no trust is left."""

HALF = 127
"""Level above which a resized or carried mask is white."""


@dataclass(frozen=True, eq=False)
class PropagatedKeyframe:
    """A keyframe as it was carried to a frame.

    Attributes:
        picture: (H, W, 3) RGB, the carried painting.
        doubt: (h, w) in tenths, by how many e-folds the photometric error and the flow's contradictions lower its
            weight; 255 where the keyframe is not painted; at the flow's working size.
        steps: Neighbours passed on the way.
    """

    picture: Image
    doubt: NDArray[np.uint8]
    steps: int


@dataclass(frozen=True)
class Gap:
    """Between two keyframes.

    Attributes:
        left: The nearest keyframe before; None before the first.
        right: The nearest keyframe behind; None behind the last.
    """

    left: str | None
    right: str | None

    def ways(self, wanted: Sequence[str]) -> list[tuple[str, str]]:
        """From each of the two to the farthest of the wanted frames, which are in the clip's order."""
        ends = ((self.left, wanted[-1]), (self.right, wanted[0]))
        return [(keyframe, end) for keyframe, end in ends if keyframe is not None]


@dataclass(frozen=True)
class KeyframePropagator:
    """A layer's keyframes on their way through a clip.

    Attributes:
        clip: The clip.
        keyframes: The stylised keyframes, and where they are painted.
        carrier: Carries.
        error_scale: As the guide's.
        hidden: As the guide's.
    """

    clip: Clip
    keyframes: KeyframeFolder
    carrier: FlowPropagator
    error_scale: float
    occlusion_weight: float

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each frame stands in the clip."""
        return {stem: place for place, stem in enumerate(self.clip.stems)}

    @property
    def keys(self) -> list[str]:
        """Names of the keyframes, in order."""
        return [stem for stem in self.keyframes.painted.stems if stem in self.places]

    def gap(self, stem: str) -> Gap:
        """The nearest keyframes before and behind a frame, itself left out."""
        here = self.places[stem]
        before = [key for key in self.keys if self.places[key] < here]
        behind = [key for key in self.keys if self.places[key] > here]
        return Gap(before[-1] if before else None, behind[0] if behind else None)

    def grouped(self, stems: Iterable[str]) -> Iterator[tuple[Gap | None, list[str]]]:
        """Frames in groups that lie in one gap in the clip's order; keyframes stand alone, without a gap."""
        gap: Gap | None = None
        group: list[str] = []
        for stem in stems:
            here = None if stem in self.keyframes.painted else self.gap(stem)
            if group and (here is None or here != gap or self.places[group[-1]] >= self.places[stem]):
                yield gap, group
                group = []
            gap = here
            group.append(stem)
        if group:
            yield gap, group

    def keyframe(self, stem: str) -> PropagatedKeyframe:
        """A keyframe where it was painted."""
        doubt = np.where(self._where_painted(stem) > HALF, np.uint8(0), UNPAINTED)
        return PropagatedKeyframe(self.painting(stem), doubt, 0)

    def carried(self, start: str, end: str, wanted: Sequence[str]) -> Iterator[tuple[str, PropagatedKeyframe]]:
        """Yield the wanted frames on the way from a keyframe to a frame."""
        first, last = self.places[start], self.places[end]
        step = 1 if last > first else -1
        path = [self.clip.stems[place] for place in range(first, last + step, step)]
        picture, where, asked = self.painting(start), self._where_painted(start), set(wanted)
        for carried in self.carrier.propagate(path):
            if carried.stem in asked:
                yield carried.stem, self._side(carried, picture, where)

    def returned(self, stem: str, turn: str, off: Callable[[int], Flow]) -> PropagatedKeyframe:
        """A keyframe carried to a frame and back, and off its place by the flow (h, w, 2) of so many steps."""
        first, last = self.places[stem], self.places[turn]
        step = 1 if last > first else -1
        there = [self.clip.stems[place] for place in range(first, last + step, step)]
        arrived: PropagatedFrame | None = None
        for carried in self.carrier.propagate([*there, *there[-2::-1]]):
            arrived = carried
        assert arrived is not None
        arrived = self.carrier.astray(arrived, off(arrived.steps))
        return self._side(arrived, self.painting(stem), self._where_painted(stem))

    def others(self, stem: str) -> list[PropagatedKeyframe]:
        """The neighbouring keyframes carried to a keyframe, which is left out itself."""
        gap = self.gap(stem)
        starts = [start for start in (gap.left, gap.right) if start is not None]
        return [side for start in starts for _, side in self.carried(start, stem, [stem])]

    def painting(self, stem: str) -> Image:
        """A stylised keyframe."""
        return self.keyframes.painted.read(stem, self.clip.size)

    def _where_painted(self, stem: str) -> NDArray[np.uint8]:
        """255 where a keyframe is painted, at the flow's working size."""
        mask = self.keyframes.mask(stem, self.clip.size).astype(np.uint8)
        return resize_image(255 * mask, self.carrier.flows.working_size)

    def _side(self, carried: PropagatedFrame, picture: Image, where: NDArray[np.uint8]) -> PropagatedKeyframe:
        seen = self.occlusion_weight + (1 - self.occlusion_weight) * carried.visible
        doubt = carried.error / self.error_scale - np.log(seen)
        tenths = np.rint(np.clip(doubt * TENTHS, 0, UNPAINTED)).astype(np.uint8)
        return PropagatedKeyframe(
            carried.sample(picture), np.where(carried.sample(where) > HALF, tenths, UNPAINTED), carried.steps
        )
