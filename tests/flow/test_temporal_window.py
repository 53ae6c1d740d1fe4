"""The sliding window: who stands around a frame, what is read, and where pixels are followed to."""

import numpy as np
import pytest

from dreaming.errors import ConfigError
from dreaming.flow.temporal_window import Neighbour, check_window, dilate, dilated_pairs, followed, iter_windows

NAMES = [f"{number}" for number in range(1, 9)]


class StepSampler:
    """Flow by a known step between neighbours: forward from frame n by n pixels to the right, backward as much left."""

    def __init__(self):
        self.asked = []

    def both_ways(self, start, end):
        self.asked.append(start)
        flow = np.zeros((4, 5, 2), np.float32)
        flow[..., 0] = int(start)
        return flow, -flow


def pictures(names):
    for name in names:
        yield name, np.full((4, 5), int(name))


def steps(side):
    return [int(neighbour.flow[0, 0, 0]) for neighbour in side]


@pytest.mark.parametrize("wanted", [NAMES, ["1"], ["8"], ["2", "3"], ["1", "8"], []])
def test_a_frame_is_surrounded_by_the_same_whatever_else_is_wanted(wanted):
    flows = StepSampler()
    for around in iter_windows(NAMES, wanted, 2, pictures, flows):
        place = int(around.stem)
        assert around.picture[0, 0] == place
        before, behind = around.sides
        assert [n.picture[0, 0] for n in before] == [p for p in (place - 1, place - 2) if p >= 1]
        assert [n.picture[0, 0] for n in behind] == [p for p in (place + 1, place + 2) if p <= 8]
        assert steps(before) == [-p for p in (place - 1, place - 2) if p >= 1]
        assert steps(behind) == [p for p in (place, place + 1) if p < 8]
    assert flows.asked == dilated_pairs(NAMES, wanted, 2), "each flow is read once, and none but those"


def test_only_what_is_needed_is_read_and_without_flow_none():
    read = []

    def noting(names):
        read.extend(names)
        return pictures(names)

    (around,) = iter_windows(NAMES, ["4"], 1, noting, None)
    assert read == ["3", "4", "5"]
    assert [neighbour.flow for side in around.sides for neighbour in side] == [None, None]


def test_the_window_reads_no_further_ahead_than_it_reaches():
    read = []

    def noting(names):
        for pair in pictures(names):
            read.append(pair[0])
            yield pair

    next(iter_windows(NAMES, NAMES, 2, noting, None))
    assert read == ["1", "2", "3"]


def test_a_pixel_is_followed_from_where_it_has_come_to():
    """The second flow is sampled where the first one leads: half a pixel beside, between two of its columns."""
    first = np.zeros((3, 6, 2), np.float32)
    first[..., 0] = 1.5
    second = np.zeros((3, 6, 2), np.float32)
    second[..., 1] = np.arange(6)
    found = list(followed([Neighbour(None, first), Neighbour(None, second)], (3, 6)))
    np.testing.assert_allclose(found[0], first)
    np.testing.assert_allclose(found[1][0, :, 1], [1.5, 2.5, 3.5, 4.5, 5, 5])
    np.testing.assert_allclose(found[1][..., 0], 1.5)
    larger = next(followed([Neighbour(None, first)], (6, 12)))
    np.testing.assert_allclose(larger, np.broadcast_to([3.0, 0.0], (6, 12, 2)))


def test_a_window_of_nothing_is_refused():
    check_window("stage.x", 1, sigma=0.1)
    with pytest.raises(ConfigError, match=r"stage\.x\.radius"):
        check_window("stage.x", 0, sigma=1.0)
    with pytest.raises(ConfigError, match=r"stage\.x\.time_sigma"):
        check_window("stage.x", 3, sigma=1.0, time_sigma=0.0)


def test_what_lies_within_a_radius_ends_with_the_clip():
    assert dilate(NAMES, ["5"], 0) == ["5"]
    assert dilate(NAMES, ["4", "1"], 1) == ["1", "2", "3", "4", "5"]
    assert dilate(NAMES, ["7"], 2) == ["5", "6", "7", "8"]
    assert dilate(NAMES, [], 3) == []
