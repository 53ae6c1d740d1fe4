"""Point tracks: points tracked along the optical flow through a clip, so that they cover a layer in every frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dreaming.flow.cache import FlowCache
from dreaming.guides.points import Points, far_from, scatter, values_at
from dreaming.io.disk_buffer import DiskBuffer
from dreaming.io.types import Mask, Size

CROWDING_DISTANCE = 0.25
"""Distance to a later point, in radii, below which a point is dropped because the later blob hides its own."""


@dataclass(frozen=True)
class Coverage:
    """How densely points must cover a layer.

    Attributes:
        radius: Smallest distance between new points, in pixels.
        reach: Distance up to which a point covers the pixels around it.
        margin: Distance outside the frame up to which a point is still tracked, in pixels.
        max_hole: Largest share of a layer that may stay uncovered in a frame.
    """

    radius: float
    reach: float
    margin: float
    max_hole: float
    seed: int


class PointTracks:
    """The points of every frame, initially none; kept in a buffer on disk because a long clip has many."""

    def __init__(self, stems: Sequence[str], size: Size, flows: FlowCache, buffer: DiskBuffer) -> None:
        self._stems, self._size, self._flows, self._buffer = stems, size, flows, buffer
        self._part_counts: dict[str, int] = {}
        self._added: dict[str, Points] = {}
        self._uncovered: set[str] = set()
        self.count = 0

    def points(self, stem: str) -> Points:
        """All points of one frame, by ascending id."""
        points = Points.none()
        for part in range(self._part_counts.get(stem, 0)):
            ids, positions = self._buffer.read((stem, part))
            points += Points(ids.view(np.int32), positions.view(np.float32).reshape(-1, 2))
        return points

    @property
    def key_stems(self) -> list[str]:
        """Names of the frames in which points were added, in order."""
        return [stem for stem in self._stems if stem in self._added]

    @property
    def uncovered(self) -> list[str]:
        """Names of the frames in which too much stays uncovered in spite of new points, in order."""
        return [stem for stem in self._stems if stem in self._uncovered]

    def cover(
        self, stems: Sequence[str], keyframes: Sequence[str], mask_of: Callable[[str], Mask], coverage: Coverage
    ) -> None:
        """Cover the layer in every frame of a shot, in at most three passes over its flow.

        ``keyframes``, at least one, get points first. A frame in which too much stays uncovered gets new points in the
        hole, which are tracked in both directions.
        """
        first = min(stems.index(stem) for stem in keyframes)
        earlier = frozenset(stems[:first])

        def add(stem: str) -> Points:
            return self._add(stem, mask_of(stem), coverage, always=stem in keyframes)

        def added(stem: str) -> Points:
            return self._added.get(stem, Points.none())

        self._track(stems[first:], add, coverage)
        self._track(stems[::-1], lambda stem: add(stem) if stem in earlier else added(stem), coverage)
        if earlier & self._added.keys():
            self._track(stems, lambda stem: added(stem) if stem in earlier else Points.none(), coverage)

    def _track(self, path: Sequence[str], joining: Callable[[str], Points], coverage: Coverage) -> None:
        """Track points along a path through the frames, starting without any; points join at each frame."""
        points, previous = Points.none(), None
        for stem in path:
            if previous is not None and len(points):
                points = points.moved(self._flows.both_ways(previous, stem)[0], self._size)
                points = points.within(self._size, coverage.margin).thinned(CROWDING_DISTANCE * coverage.radius)
                self._store(stem, points)
            points, previous = points + joining(stem), stem

    def _add(self, stem: str, mask: Mask, coverage: Coverage, *, always: bool) -> Points:
        """Add points where a frame is uncovered, if too much of it is."""
        new, total = Points.none(), int(mask.sum())
        present = self.points(stem)
        # A layer narrower than the points' distance may contain no point: then the nearest points beside it are used.
        for allowed in (mask, np.ones_like(mask)):
            hole = mask & far_from((present + new).positions, self._size, coverage.reach)
            if not hole.any() or (not always and hole.sum() <= coverage.max_hole * total):
                break
            always = False
            pattern = scatter(self._size, coverage.radius, coverage.seed)
            chosen = pattern[values_at(pattern, allowed & _near(hole, coverage.radius))]
            ids = np.arange(self.count, self.count + len(chosen), dtype=np.int32)
            self.count += len(chosen)
            new += Points(ids, chosen)
        else:
            hole = mask & far_from((present + new).positions, self._size, coverage.reach)
            if hole.sum() > coverage.max_hole * total:
                self._uncovered.add(stem)
        if len(new):
            self._added[stem] = new
        self._store(stem, new)
        return new

    def _store(self, stem: str, points: Points) -> None:
        if not len(points):
            return
        part = self._part_counts.get(stem, 0)
        arrays = (np.ascontiguousarray(a) for a in (points.ids, points.positions))
        self._buffer.write((stem, part), [array.reshape(-1).view(np.uint8) for array in arrays])
        self._part_counts[stem] = part + 1


def _near(hole: Mask, distance: float) -> Mask:
    return cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= distance
