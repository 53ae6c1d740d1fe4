"""Carried masks: there by the flow, kept, and never carried twice; from several threads as from one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dreaming.features.propagated_masks import MaskPropagator, PropagationSource
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.propagation import FlowPropagator


class CountedFlow(FlowCache):
    """Every pixel moves two working pixels to the right from a frame to the next; counts what is asked."""

    asked = 0

    def both_ways(self, start, end):
        type(self).asked += 1
        sign = self._places[end] - self._places[start]
        flow = np.zeros((*self.working_size, 2), np.float32)
        flow[..., 0] = 2 * sign
        return flow, -flow


@pytest.fixture
def carried(disc_clip):
    clip = disc_clip(count=6, size=(40, 56), masks=(), keyframes=()).clip
    CountedFlow.asked = 0
    flows = CountedFlow(clip, DisFlow(scale=1.0))
    return MaskPropagator(clip, FlowPropagator(clip, flows, drift=None), (40, 56))


@pytest.fixture
def source():
    mask = np.zeros((40, 56), bool)
    mask[10:20, 10:20] = True
    return PropagationSource.painted("0002", mask, (40, 56))


def test_a_mask_moves_with_the_flow_and_keeps_its_distance(carried, source):
    side = carried.side(source, "0005")
    assert side.gap == 3
    np.testing.assert_allclose(side.mask[10:20, 16:26], 1)
    assert side.mask.sum() == pytest.approx(100)
    before = carried.side(source, "0001")
    assert before.gap == 1
    np.testing.assert_allclose(before.mask[10:20, 8:18], 1)
    assert before.error.max() > 0, "the frames do not move like that"
    assert before.visible[20, 20] == 1


def test_its_own_frame_has_it_without_doubt(carried, source):
    side = carried.side(source, "0002")
    assert (side.gap, side.error.max(), side.visible.min()) == (0, 0, 1)
    np.testing.assert_allclose(side.mask * 255, source.mask, atol=1e-4)


def test_what_was_carried_is_not_carried_again(carried, source):
    carried.carry(source, "0005")
    assert CountedFlow.asked == 3
    for stem in ("0005", "0003", "0004"):
        carried.side(source, stem)
    assert CountedFlow.asked == 3
    carried.side(source, "0001")
    assert CountedFlow.asked == 4


def test_back_from_where_it_came_to(carried, source):
    back = carried.side(carried.again(source, "0005"), "0002")
    assert back.gap == 3
    np.testing.assert_allclose(back.mask * 255, source.mask, atol=1)


def test_masks_of_one_frame_are_told_apart(carried, source):
    other = PropagationSource.painted("0002", np.zeros((40, 56), bool), (40, 56))
    assert carried.side(source, "0003").mask.any()
    assert not carried.side(other, "0003").mask.any()


def test_many_threads_agree(carried, source):
    with ThreadPoolExecutor(8) as pool:
        sides = list(pool.map(lambda stem: carried.side(source, stem), ["0003", "0004", "0005", "0001"] * 8))
    for place, side in enumerate(sides):
        np.testing.assert_array_equal(side.mask, sides[place % 4].mask)
    assert CountedFlow.asked <= 3 + 2 + 1 + 1
