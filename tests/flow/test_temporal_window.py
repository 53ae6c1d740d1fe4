"""The sliding window: neighbours of a frame, frames and flows that are read, and chained flow."""

import numpy as np
import pytest

from dreaming.clip.shots import Shots
from dreaming.flow.temporal_window import Neighbour, accumulate_flows, dilate, dilated_pairs, iter_windows

NAMES = [f"{number}" for number in range(1, 9)]
SHOTS = Shots(NAMES)


class KnownFlow:
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
def test_a_window_does_not_depend_on_the_other_requested_frames(wanted):
    flows = KnownFlow()
    for window in iter_windows(SHOTS, wanted, 2, pictures, flows):
        index = int(window.stem)
        assert window.picture[0, 0] == index
        before, after = window.sides
        assert [n.picture[0, 0] for n in before] == [p for p in (index - 1, index - 2) if p >= 1]
        assert [n.picture[0, 0] for n in after] == [p for p in (index + 1, index + 2) if p <= 8]
        assert steps(before) == [-p for p in (index - 1, index - 2) if p >= 1]
        assert steps(after) == [p for p in (index, index + 1) if p < 8]
    assert flows.asked == dilated_pairs(SHOTS, wanted, 2), "each flow is read once, and no others"


def test_only_frames_of_the_window_are_read_and_flow_is_optional():
    read = []

    def recording(names):
        read.extend(names)
        return pictures(names)

    (window,) = iter_windows(SHOTS, ["4"], 1, recording, None)
    assert read == ["3", "4", "5"]
    assert [neighbour.flow for side in window.sides for neighbour in side] == [None, None]


def test_the_window_reads_ahead_by_its_radius():
    read = []

    def recording(names):
        for pair in pictures(names):
            read.append(pair[0])
            yield pair

    next(iter_windows(SHOTS, NAMES, 2, recording, None))
    assert read == ["1", "2", "3"]


def test_accumulated_flow_samples_the_second_flow_where_the_first_leads():
    """The first flow leads half a pixel past a column, so the second is interpolated between two columns."""
    first = np.zeros((3, 6, 2), np.float32)
    first[..., 0] = 1.5
    second = np.zeros((3, 6, 2), np.float32)
    second[..., 1] = np.arange(6)
    found = list(accumulate_flows([Neighbour("1", None, first), Neighbour("2", None, second)], (3, 6)))
    np.testing.assert_allclose(found[0], first)
    np.testing.assert_allclose(found[1][0, :, 1], [1.5, 2.5, 3.5, 4.5, 5, 5])
    np.testing.assert_allclose(found[1][..., 0], 1.5)
    larger = next(accumulate_flows([Neighbour("1", None, first)], (6, 12)))
    np.testing.assert_allclose(larger, np.broadcast_to([3.0, 0.0], (6, 12, 2)))


def test_dilation_ends_with_the_clip():
    assert dilate(SHOTS, ["5"], 0) == ["5"]
    assert dilate(SHOTS, ["4", "1"], 1) == ["1", "2", "3", "4", "5"]
    assert dilate(SHOTS, ["7"], 2) == ["5", "6", "7", "8"]
    assert dilate(SHOTS, [], 3) == []


def test_windows_and_dilation_end_at_cuts():
    shots, flows = Shots(NAMES, ["4", "5"]), KnownFlow()
    sides = {
        w.stem: [[n.stem for n in side] for side in w.sides] for w in iter_windows(shots, NAMES, 2, pictures, flows)
    }
    assert sides["3"] == [["2", "1"], []]
    assert sides["4"] == [[], []]
    assert sides["6"] == [["5"], ["7", "8"]]
    assert flows.asked == dilated_pairs(shots, NAMES, 2) == ["1", "2", "5", "6", "7"]
    assert dilate(shots, ["3", "6"], 2) == ["1", "2", "3", "5", "6", "7", "8"]
