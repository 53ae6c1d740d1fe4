"""Propagated masks follow the flow and are cached; several threads agree with one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dreaming.features.propagated_masks import MaskPropagator, PropagationSource
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.propagation import FlowPropagator


class CountedFlow(FlowCache):
    """Every pixel moves two working pixels to the right per frame; counts requests."""

    asked = 0

    def both_ways(self, start, end):
        type(self).asked += 1
        sign = self._index[end] - self._index[start]
        flow = np.zeros((*self.working_size, 2), np.float32)
        flow[..., 0] = 2 * sign
        return flow, -flow


@pytest.fixture
def propagator(disc_clip):
    clip = disc_clip(count=6, size=(40, 56), masks=(), keyframes=()).clip
    CountedFlow.asked = 0
    flows = CountedFlow(clip, DisFlow(scale=1.0))
    return MaskPropagator(clip, FlowPropagator(clip, flows, drift=None), (40, 56))


@pytest.fixture
def source():
    area = np.zeros((40, 56), bool)
    area[:8, 10:20] = True  # plain backdrop, which is not searched for
    return PropagationSource.from_hand_mask("0002", area, (40, 56))


def test_a_mask_moves_with_the_flow_and_keeps_its_distance(propagator, source):
    mask = propagator.mask(source, "0005")
    assert mask.gap == 3
    np.testing.assert_allclose(mask.mask[:8, 16:26], 1)
    assert mask.mask.sum() == pytest.approx(80)
    before = propagator.mask(source, "0001")
    assert before.gap == 1
    np.testing.assert_allclose(before.mask[:8, 8:18], 1)
    assert before.error.max() > 0, "the frames do not move like that"
    assert before.visible[20, 20] == 1


def test_a_mask_is_exact_in_its_own_frame(propagator, source):
    mask = propagator.mask(source, "0002")
    assert (mask.gap, mask.error.max(), mask.visible.min()) == (0, 0, 1)
    np.testing.assert_allclose(mask.mask * 255, source.mask, atol=1e-4)


def test_cached_masks_are_not_propagated_again(propagator, source):
    propagator.propagate(source, "0005")
    assert CountedFlow.asked == 3
    for stem in ("0005", "0003", "0004"):
        propagator.mask(source, stem)
    assert CountedFlow.asked == 3
    propagator.mask(source, "0001")
    assert CountedFlow.asked == 4


def test_a_propagated_mask_is_propagated_back(propagator, source):
    back = propagator.mask(propagator.source_at(source, "0005"), "0002")
    assert back.gap == 3
    np.testing.assert_allclose(back.mask * 255, source.mask, atol=1)


def test_masks_of_one_frame_are_distinguished(propagator, source):
    other = PropagationSource.from_hand_mask("0002", np.zeros((40, 56), bool), (40, 56))
    assert propagator.mask(source, "0003").mask.any()
    assert not propagator.mask(other, "0003").mask.any()


def test_many_threads_agree(propagator, source):
    with ThreadPoolExecutor(8) as pool:
        masks = list(pool.map(lambda stem: propagator.mask(source, stem), ["0003", "0004", "0005", "0001"] * 8))
    for index, mask in enumerate(masks):
        np.testing.assert_array_equal(mask.mask, masks[index % 4].mask)
    assert CountedFlow.asked <= 3 + 2 + 1 + 1
