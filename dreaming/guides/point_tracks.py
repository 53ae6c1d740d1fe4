"""Points carried along the flow through a whole clip: born in key frames, and wherever too much is left without any."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dreaming.flow.cache import FlowCache
from dreaming.guides.points import Points, far_from, spread, values_at
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.types import Mask, Size

CROWDED = 0.25
"""Share of the radius within which a point is as good as hidden by a later one, and is given up."""


@dataclass(frozen=True)
class Cover:
    """How points are to cover a layer.

    Attributes:
        radius: Least distance between points where they are born, in pixels.
        reach: Distance up to which a point covers the pixels around it.
        margin: How far outside the frame a point is still carried, in pixels.
        max_hole: Largest share of a layer that may be left uncovered in any frame.
        seed: Of the points' pattern.
    """

    radius: float
    reach: float
    margin: float
    max_hole: float
    seed: int


class PointTracks:
    """The points of every frame, at first none; kept in a file, for a long clip has many.

    Args:
        stems: Names of all frames, in order.
        size: (height, width) of the frames.
        flows: Their flow, complete.
        spool: Where points are kept.
    """

    def __init__(self, stems: Sequence[str], size: Size, flows: FlowCache, buffer: DiskBuffer) -> None:
        self._stems, self._size, self._flows, self._spool = stems, size, flows, buffer
        self._kept: dict[str, int] = {}
        self._born: dict[str, Points] = {}
        self._bare: set[str] = set()
        self.count = 0

    def at(self, stem: str) -> Points:
        """All points of one frame, in the order of their birth."""
        points = Points.none()
        for place in range(self._kept.get(stem, 0)):
            numbers, places = self._spool.read((stem, place))
            points += Points(numbers.view(np.int32), places.view(np.float32).reshape(-1, 2))
        return points

    @property
    def births(self) -> list[str]:
        """Names of the frames in which points were born, in order."""
        return [stem for stem in self._stems if stem in self._born]

    @property
    def bare(self) -> list[str]:
        """Names of frames in which points were born and yet too much was left uncovered, in order."""
        return [stem for stem in self._stems if stem in self._bare]

    def fill(self, keys: Sequence[str], mask_of: Callable[[str], Mask], cover: Cover) -> None:
        """Cover the layer in every frame; goes over the clip's flow three times at most.

        Where too much of a frame is left uncovered it becomes a key as well: points are born in the hole, and carried
        both ways like the others.

        Args:
            keys: Names of the frames in which points are born first; at least one.
            mask_of: Gives the layer's mask in a frame.
            cover: What covering means.
        """
        first = min(self._stems.index(key) for key in keys)
        earlier = frozenset(self._stems[:first])

        def bear(stem: str) -> Points:
            return self._bear(stem, mask_of(stem), cover, at_once=stem in keys)

        def born(stem: str) -> Points:
            return self._born.get(stem, Points.none())

        self._sweep(self._stems[first:], bear, cover)
        self._sweep(self._stems[::-1], lambda stem: bear(stem) if stem in earlier else born(stem), cover)
        if earlier & self._born.keys():
            self._sweep(self._stems, lambda stem: born(stem) if stem in earlier else Points.none(), cover)

    def _sweep(self, path: Sequence[str], joining: Callable[[str], Points], cover: Cover) -> None:
        """Carry points along a path through the frames, beginning with none; at each frame some join."""
        points, before = Points.none(), None
        for stem in path:
            if before is not None and len(points):
                points = points.moved(self._flows.both_ways(before, stem)[0], self._size)
                points = points.within(self._size, cover.margin).thinned(CROWDED * cover.radius)
                self._keep(stem, points)
            points, before = points + joining(stem), stem

    def _bear(self, stem: str, mask: Mask, cover: Cover, *, at_once: bool) -> Points:
        """New points in what is not covered in a frame, if that is too much of it."""
        born, total = Points.none(), int(mask.sum())
        present = self.at(stem)
        # Where the layer is narrower than the points are dense, the nearest ones beside it have to do.
        for allowed in (mask, np.ones_like(mask)):
            hole = mask & far_from((present + born).places, self._size, cover.reach)
            if not hole.any() or (not at_once and hole.sum() <= cover.max_hole * total):
                break
            at_once = False
            pattern = spread(self._size, cover.radius, cover.seed)
            chosen = pattern[values_at(pattern, allowed & _near(hole, cover.radius))]
            numbers = np.arange(self.count, self.count + len(chosen), dtype=np.int32)
            self.count += len(chosen)
            born += Points(numbers, chosen)
        else:
            hole = mask & far_from((present + born).places, self._size, cover.reach)
            if hole.sum() > cover.max_hole * total:
                self._bare.add(stem)
        if len(born):
            self._born[stem] = born
        self._keep(stem, born)
        return born

    def _keep(self, stem: str, points: Points) -> None:
        if not len(points):
            return
        place = self._kept.get(stem, 0)
        arrays = (np.ascontiguousarray(a) for a in (points.numbers, points.places))
        self._spool.write((stem, place), [array.reshape(-1).view(np.uint8) for array in arrays])
        self._kept[stem] = place + 1


def _near(hole: Mask, distance: float) -> Mask:
    return cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= distance
