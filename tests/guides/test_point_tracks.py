"""Point tracks: points are added where needed, follow the flow, and cover the layer in every frame."""

import numpy as np
import pytest

from dreaming.guides.point_tracks import Coverage, PointTracks
from dreaming.guides.points import far_from
from dreaming.io.disk_buffer import DiskBuffer

STEMS = [f"{number:04d}" for number in range(1, 13)]
SIZE = (60, 120)
COVERAGE = Coverage(radius=4.0, reach=8.0, margin=12.0, max_hole=0.03, seed=0)


class Pan:
    """The whole picture moves to the right, by 5 pixels a frame."""

    def both_ways(self, start, end):
        flow = np.full((*SIZE, 2), (5.0 * (int(end) - int(start)), 0), np.float32)
        return flow, -flow


def box(stem, width=40):
    """A box that moves with the picture, and from the seventh frame on is twice as wide."""
    left = 5 * (int(stem) - 1)
    mask = np.zeros(SIZE, bool)
    mask[10:50, left : left + (width if int(stem) < 7 else 2 * width)] = True
    return mask


@pytest.fixture
def fill(tmp_path):
    with DiskBuffer(tmp_path, "points", 12, 100) as buffer:

        def filled(keys, mask_of=box, coverage=COVERAGE):
            tracks = PointTracks(STEMS, SIZE, Pan(), buffer)
            tracks.cover(STEMS, keys, mask_of, coverage)
            return tracks

        yield filled


def hole(tracks, stem, mask_of=box):
    mask = mask_of(stem)
    return (mask & far_from(tracks.points(stem).positions, SIZE, COVERAGE.reach)).sum() / max(1, mask.sum())


@pytest.mark.parametrize("keys", [["0001"], ["0012"], ["0004"], ["0003", "0009"]])
def test_every_frame_is_covered_from_any_keyframes(fill, keys):
    tracks = fill(keys)
    assert set(keys) & set(tracks.key_stems), "the first keyframe gets points"
    for stem in STEMS:
        assert hole(tracks, stem) <= COVERAGE.max_hole, stem


def test_only_frames_with_a_hole_get_new_points(fill):
    assert fill(["0001"]).key_stems == ["0001", "0007"]
    assert fill(["0001"], mask_of=lambda stem: box(stem) & box("0001")).key_stems == ["0001"]
    lax = Coverage(COVERAGE.radius, COVERAGE.reach, COVERAGE.margin, max_hole=0.9, seed=0)
    assert fill(["0001"], coverage=lax).key_stems == ["0001"]


def test_points_follow_the_flow_in_both_directions_and_keep_their_ids(fill):
    tracks = fill(["0004"])
    for stem in STEMS[1:]:
        before, here = tracks.points(f"{int(stem) - 1:04d}"), tracks.points(stem)
        assert (np.diff(here.ids) > 0).all()
        shared, one, other = np.intersect1d(before.ids, here.ids, return_indices=True)
        assert len(shared) > 20
        np.testing.assert_allclose(
            here.positions[other] - before.positions[one], np.tile([5.0, 0.0], (len(shared), 1)), atol=1e-4
        )
    assert set(tracks.points("0001").ids) >= {int(number) for number in tracks.points("0012").ids[:5]}


def test_points_added_before_the_first_keyframe_are_tracked_beyond_it(fill):
    """From the keyframe on, only the right half of the box is the layer's."""

    def mask_of(stem):
        left = 5 * (int(stem) - 1)
        mask = np.zeros(SIZE, bool)
        mask[10:50, left + (20 if int(stem) >= 6 else 0) : left + 40] = True
        return mask

    tracks = fill(["0006"], mask_of)
    assert tracks.key_stems == ["0005", "0006"]
    born_left = {int(n) for n, (x, _) in zip(*vars(tracks.points("0005")).values(), strict=True) if x < 30}
    assert len(born_left) > 10
    for stem in STEMS:
        assert born_left <= set(tracks.points(stem).ids), stem


def test_points_outside_the_margin_are_dropped(fill):
    tracks = fill(["0001"], mask_of=lambda stem: np.ones(SIZE, bool))
    for stem in STEMS:
        assert tracks.points(stem).positions[:, 0].max() < SIZE[1] + COVERAGE.margin
        assert hole(tracks, stem, lambda stem: np.ones(SIZE, bool)) <= COVERAGE.max_hole


def test_a_layer_narrower_than_the_pattern_is_covered_from_beside_it(fill):
    def thread(stem):
        mask = np.zeros(SIZE, bool)
        mask[33, 12] = True
        return mask

    tracks = fill(["0001"], thread)
    assert hole(tracks, "0001", thread) == 0


def test_frames_that_cannot_be_covered_are_reported(fill):
    whole = np.ones(SIZE, bool)
    assert fill(["0001"], lambda stem: whole).uncovered == []
    sparse = fill(["0001"], lambda stem: whole, Coverage(radius=20.0, reach=8.0, margin=12.0, max_hole=0.03, seed=0))
    assert "0001" in sparse.uncovered
    assert far_from(sparse.points("0001").positions, SIZE, 8.0).mean() > 0.03


def test_an_empty_layer_needs_no_points(fill):
    tracks = fill(["0001"], mask_of=lambda stem: np.zeros(SIZE, bool))
    assert tracks.count == 0
    assert len(tracks.points("0005")) == 0
