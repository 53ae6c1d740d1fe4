"""Carrying along known flow: the place, the sharpness, the error and what is hidden, forward, backward and both."""

import numpy as np
import pytest

from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.propagation import DriftCorrection, FlowPropagator


class ConstantFlow(FlowCache):
    """Every pixel moves by (dx, dy) working pixels from a frame to the next."""

    step = np.array([2, -1], np.float32)

    def both_ways(self, start, end):
        sign = self._index[end] - self._index[start]
        flow = np.broadcast_to(sign * self.step, (*self.working_size, 2)).copy()
        return flow, -flow


@pytest.fixture
def carrier(disc_clip):
    clip = disc_clip(count=6, size=(40, 56), masks=(), keyframes=()).clip
    return FlowPropagator(clip, ConstantFlow(clip, DisFlow(scale=1.0)), drift=None)


def test_coordinates_add_up_step_by_step(carrier):
    stems = carrier.clip.stems
    for steps, carried in enumerate(carrier.propagate(stems), start=1):
        assert (carried.stem, carried.steps) == (stems[steps], steps)
        np.testing.assert_allclose(carried.flow, np.broadcast_to([-2 * steps, steps], (40, 56, 2)), atol=1e-4)
        np.testing.assert_allclose(carried.coordinates((40, 56))[7, 9], [9 - 2 * steps, 7 + steps], atol=1e-4)
        np.testing.assert_allclose(carried.coordinates((80, 112))[8, 50], [50 - 4 * steps, 8 + 2 * steps], atol=1e-3)


def test_a_picture_is_moved_and_not_blurred(carrier):
    stems = carrier.clip.stems
    picture = np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)
    last = list(carrier.propagate(stems[:5]))[-1]
    np.testing.assert_array_equal(last.sample(picture)[:36, 8:], picture[4:, :-8])
    back = list(carrier.propagate(stems[4::-1]))[-1]
    np.testing.assert_array_equal(back.sample(picture)[4:, :-8], picture[:36, 8:])


def test_round_trips_is_where_it_was(carrier):
    stems = carrier.clip.stems
    path = [*stems[1:4], *stems[2::-1]]
    found = list(carrier.propagate(path))
    assert [carried.stem for carried in found] == path[1:]
    round_trips = next(carried for carried in found if carried.steps == 4)
    assert round_trips.stem == stems[1]
    np.testing.assert_allclose(round_trips.flow, 0, atol=1e-4)
    np.testing.assert_allclose(round_trips.error[8:-8, 8:-8], 0, atol=1e-3)


def test_what_left_the_picture_on_the_way_stays_hidden(carrier):
    visible = [carried.visible for carried in carrier.propagate(carrier.clip.stems[:4])]
    for steps, seen in enumerate(visible, start=1):
        expected = np.zeros((40, 56))
        expected[: 40 - steps, 2 * steps :] = 1
        np.testing.assert_array_equal(seen, expected)


def test_the_error_is_the_difference_of_colours(disc_clip):
    drawing = disc_clip(count=3, size=(24, 24), masks=(), keyframes=())
    for stem, grey in zip(drawing.stems, (100, 100, 180), strict=True):
        drawing.save(f"frames/{stem}.png", np.full((24, 24, 3), grey, np.uint8))
    carrier = FlowPropagator(drawing.clip, FlowCache(drawing.clip, DisFlow()), drift=None)
    same, other = carrier.propagate(drawing.stems)
    np.testing.assert_allclose(same.error, 0, atol=1e-3)
    # CIE L* of grey 100 and 180 (sRGB) is 42.4 and 73.2, times 2.55 in 8 bits; a and b do not differ.
    np.testing.assert_allclose(other.error, (73.2 - 42.4) * 2.55, atol=1.5)


def test_drift_is_taken_out(disc_clip):
    """Flow that errs by a pixel at each step is mended, as far as its picture allows."""
    drawing = disc_clip(count=4, size=(96, 128), masks=(), keyframes=())
    for stem in drawing.stems:
        drawing.save(f"frames/{stem}.png", smooth_noise((96, 128)))
    clip = Clip(drawing.path)
    cache = ConstantFlow(clip, DisFlow(scale=1.0))
    cache.step = np.array([1, 0], np.float32)

    def mean_drift(drift):
        last = list(FlowPropagator(clip, cache, drift=drift).propagate(clip.stems))[-1]
        return np.abs(last.flow[20:-20, 20:-20]).max(axis=2).mean()

    assert mean_drift(None) == pytest.approx(3)
    assert mean_drift(DriftCorrection()) < 0.3
    assert mean_drift(DriftCorrection(reach=0.1)) == pytest.approx(3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"coarsest_scale": -1},
        {"reach": 0.0},
        {"gain": -1.0},
        {"patch_stride": 0},
        {"descent_iterations": 0},
        {"smoothing_iterations": -1},
    ],
)
def test_a_correction_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match=rf"drift\.{next(iter(wrong))}"):
        DriftCorrection(**wrong)


def smooth_noise(size):
    noise = np.kron(np.random.default_rng(2).integers(0, 255, (size[0] // 4, size[1] // 4, 3)), np.ones((4, 4, 1)))
    return noise.astype(np.uint8)


def test_a_path_of_one_frame_leads_nowhere(carrier):
    assert list(carrier.propagate(carrier.clip.stems[:1])) == []
