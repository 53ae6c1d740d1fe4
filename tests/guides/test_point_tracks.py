"""Points of a whole clip: born where they are needed, moving with the flow, the layer covered in every frame."""

import numpy as np
import pytest

from dreaming.guides.point_tracks import Cover, PointTracks
from dreaming.guides.points import far_from
from dreaming.io.disk_buffer import DiskBuffer

STEMS = [f"{number:04d}" for number in range(1, 13)]
SIZE = (60, 120)
COVER = Cover(radius=4.0, reach=8.0, margin=12.0, max_hole=0.03, seed=0)


class Pan:
    """The whole picture moves to the right, by 5 pixels a frame."""

    def both_ways(self, start, end):
        flow = np.full((*SIZE, 2), (5.0 * (int(end) - int(start)), 0), np.float32)
        return flow, -flow


def box(stem, width=40):
    """A box that moves with the picture, and from the seventh frame on is twice as wide, all of a sudden."""
    left = 5 * (int(stem) - 1)
    mask = np.zeros(SIZE, bool)
    mask[10:50, left : left + (width if int(stem) < 7 else 2 * width)] = True
    return mask


@pytest.fixture
def fill(tmp_path):
    with DiskBuffer(tmp_path) as buffer:

        def filled(keys, mask_of=box, cover=COVER):
            tracks = PointTracks(STEMS, SIZE, Pan(), buffer)
            tracks.fill(keys, mask_of, cover)
            return tracks

        yield filled


def hole(tracks, stem, mask_of=box):
    mask = mask_of(stem)
    return (mask & far_from(tracks.at(stem).places, SIZE, COVER.reach)).sum() / max(1, mask.sum())


@pytest.mark.parametrize("keys", [["0001"], ["0012"], ["0004"], ["0003", "0009"]])
def test_every_frame_is_covered_from_whatever_keyframes(fill, keys):
    tracks = fill(keys)
    assert set(keys) & set(tracks.births), "the first keyframe bears points"
    for stem in STEMS:
        assert hole(tracks, stem) <= COVER.max_hole, stem


def test_a_frame_with_a_hole_becomes_a_key_and_only_such(fill):
    assert fill(["0001"]).births == ["0001", "0007"]
    assert fill(["0001"], mask_of=lambda stem: box(stem) & box("0001")).births == ["0001"]
    lax = Cover(COVER.radius, COVER.reach, COVER.margin, max_hole=0.9, seed=0)
    assert fill(["0001"], cover=lax).births == ["0001"]


def test_points_move_with_the_picture_both_ways_and_keep_their_numbers(fill):
    tracks = fill(["0004"])
    for stem in STEMS[1:]:
        before, here = tracks.at(f"{int(stem) - 1:04d}"), tracks.at(stem)
        assert (np.diff(here.numbers) > 0).all()
        shared, one, other = np.intersect1d(before.numbers, here.numbers, return_indices=True)
        assert len(shared) > 20
        np.testing.assert_allclose(
            here.places[other] - before.places[one], np.tile([5.0, 0.0], (len(shared), 1)), atol=1e-4
        )
    assert set(tracks.at("0001").numbers) >= {int(number) for number in tracks.at("0012").numbers[:5]}


def test_points_born_before_the_first_keyframe_are_carried_on_behind_it(fill):
    """From the keyframe on, only the right half of the box is the layer's."""

    def mask_of(stem):
        left = 5 * (int(stem) - 1)
        mask = np.zeros(SIZE, bool)
        mask[10:50, left + (20 if int(stem) >= 6 else 0) : left + 40] = True
        return mask

    tracks = fill(["0006"], mask_of)
    assert tracks.births == ["0005", "0006"]
    born_left = {int(n) for n, (x, _) in zip(*vars(tracks.at("0005")).values(), strict=True) if x < 30}
    assert len(born_left) > 10
    for stem in STEMS:
        assert born_left <= set(tracks.at(stem).numbers), stem


def test_what_leaves_the_frame_is_forgotten(fill):
    tracks = fill(["0001"], mask_of=lambda stem: np.ones(SIZE, bool))
    for stem in STEMS:
        assert tracks.at(stem).places[:, 0].max() < SIZE[1] + COVER.margin
        assert hole(tracks, stem, lambda stem: np.ones(SIZE, bool)) <= COVER.max_hole


def test_a_layer_too_narrow_for_the_pattern_is_covered_from_beside_it(fill):
    def thread(stem):
        mask = np.zeros(SIZE, bool)
        mask[33, 12] = True
        return mask

    tracks = fill(["0001"], thread)
    assert hole(tracks, "0001", thread) == 0


def test_frames_that_points_so_far_apart_cannot_cover_are_told(fill):
    whole = np.ones(SIZE, bool)
    assert fill(["0001"], lambda stem: whole).bare == []
    sparse = fill(["0001"], lambda stem: whole, Cover(radius=20.0, reach=8.0, margin=12.0, max_hole=0.03, seed=0))
    assert "0001" in sparse.bare
    assert far_from(sparse.at("0001").places, SIZE, 8.0).mean() > 0.03


def test_an_empty_layer_needs_no_points(fill):
    tracks = fill(["0001"], mask_of=lambda stem: np.zeros(SIZE, bool))
    assert tracks.count == 0
    assert len(tracks.at("0005")) == 0
