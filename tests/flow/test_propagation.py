"""Propagation along known flow: position, sharpness, photometric error, visibility and weight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreaming.clip.clip import Clip
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.propagation import (
    DriftCorrection,
    FlowPropagator,
    dequantise_cost,
    propagation_cost,
    propagation_weight,
    quantise_cost,
)


class ConstantFlow(FlowCache):
    """Every pixel moves by (dx, dy) working pixels from a frame to the next."""

    step = np.array([2, -1], np.float32)

    def both_ways(self, start, end):
        sign = self._index[end] - self._index[start]
        flow = np.broadcast_to(sign * self.step, (*self.working_size, 2)).copy()
        return flow, -flow


@pytest.fixture
def propagator(disc_clip):
    clip = disc_clip(count=6, size=(40, 56), masks=(), keyframes=()).clip
    return FlowPropagator(clip, ConstantFlow(clip, DisFlow(scale=1.0)), drift=None)


def test_flow_accumulates_step_by_step(propagator):
    stems = propagator.clip.stems
    for steps, frame in enumerate(propagator.propagate(stems), start=1):
        assert (frame.stem, frame.steps) == (stems[steps], steps)
        np.testing.assert_allclose(frame.flow, np.broadcast_to([-2 * steps, steps], (40, 56, 2)), atol=1e-4)


def test_frames_are_read_once_for_overlapping_paths(propagator, monkeypatch):
    stems = propagator.clip.stems
    first = [frame.error for frame in propagator.propagate(stems[:4])]
    monkeypatch.setattr(type(propagator.clip.frames), "read", None)
    np.testing.assert_array_equal([frame.error for frame in propagator.propagate(stems[:4])], first)


def test_a_propagated_image_is_not_blurred(propagator):
    stems = propagator.clip.stems
    picture = np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)
    last = list(propagator.propagate(stems[:5]))[-1]
    np.testing.assert_array_equal(last.sample(picture)[:36, 8:], picture[4:, :-8])
    back = list(propagator.propagate(stems[4::-1]))[-1]
    np.testing.assert_array_equal(back.sample(picture)[4:, :-8], picture[:36, 8:])


def test_a_round_trip_returns_to_its_start(propagator):
    stems = propagator.clip.stems
    path = [*stems[1:4], *stems[2::-1]]
    found = list(propagator.propagate(path))
    assert [frame.stem for frame in found] == path[1:]
    returned = next(frame for frame in found if frame.steps == 4)
    assert returned.stem == stems[1]
    np.testing.assert_allclose(returned.flow, 0, atol=1e-4)
    np.testing.assert_allclose(returned.error[8:-8, 8:-8], 0, atol=1e-3)


def test_pixels_that_leave_the_frame_stay_invisible(propagator):
    visible = [frame.visible for frame in propagator.propagate(propagator.clip.stems[:4])]
    for steps, seen in enumerate(visible, start=1):
        expected = np.zeros((40, 56))
        expected[: 40 - steps, 2 * steps :] = 1
        np.testing.assert_array_equal(seen, expected)


def test_a_pixel_that_was_hidden_once_stays_invisible(propagator):
    stems = propagator.clip.stems

    class HiddenOnce(ConstantFlow):
        def both_ways(self, start, end):
            there, back = super().both_ways(start, end)
            if stems[0] in (start, end):
                there[20:24, 30:34] += 5  # another surface in the second frame
            return there, back

    flows = HiddenOnce(propagator.clip, propagator.flows.flow)
    for steps, frame in enumerate(FlowPropagator(propagator.clip, flows, drift=None).propagate(stems[:4])):
        y, x = 20 - steps, 30 + 2 * steps  # it moves by (2, -1) per frame
        assert not frame.visible[y : y + 4, x : x + 4].any()
        assert frame.visible[y + 5 : y + 9, x : x + 4].all()


def test_the_photometric_error_is_the_lab_difference(disc_clip):
    drawing = disc_clip(count=3, size=(24, 24), masks=(), keyframes=())
    for stem, grey in zip(drawing.stems, (100, 100, 180), strict=True):
        drawing.save(f"frames/{stem}.png", np.full((24, 24, 3), grey, np.uint8))
    propagator = FlowPropagator(drawing.clip, FlowCache(drawing.clip, DisFlow()), drift=None)
    same, other = propagator.propagate(drawing.stems)
    np.testing.assert_allclose(same.error, 0, atol=1e-3)
    # CIE L* of grey 100 and 180 (sRGB) is 42.4 and 73.2, times 2.55 in 8 bits; a and b do not differ.
    np.testing.assert_allclose(other.error, (73.2 - 42.4) * 2.55, atol=1.5)


def test_drift_is_corrected(disc_clip):
    """A flow error of one pixel per step is corrected wherever the image has texture."""
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
    assert mean_drift(DriftCorrection(max_correction=0.1)) == pytest.approx(3)


def test_flow_is_refined_at_the_size_of_the_frames(disc_clip):
    """A shift of one pixel is half a working pixel, which the working size does not show here."""
    drawing = disc_clip(count=2, size=(96, 128), masks=(), keyframes=())
    first = smooth_noise((96, 128))
    drawing.save("frames/0001.png", first)
    drawing.save("frames/0002.png", np.roll(first, 1, axis=1))
    clip = Clip(drawing.path)
    cache = ConstantFlow(clip, DisFlow(scale=0.5))
    cache.step = np.zeros(2, np.float32)
    for drift, expected in ((DriftCorrection(smoothing_iterations=5), -1), (None, 0)):
        propagator = FlowPropagator(clip, cache, drift)
        (found,) = propagator.propagate(clip.stems)
        moved = propagator.refined(found, first).sample(first.astype(np.float32))
        np.testing.assert_allclose(moved[20:-20, 20:-20], np.roll(first, -expected, axis=1)[20:-20, 20:-20], atol=20)


def smooth_noise(size):
    noise = np.kron(np.random.default_rng(2).integers(0, 255, (size[0] // 4, size[1] // 4, 3)), np.ones((4, 4, 1)))
    return noise.astype(np.uint8)


def test_a_path_of_one_frame_yields_nothing(propagator):
    assert list(propagator.propagate(propagator.clip.stems[:1])) == []


def test_a_weight_falls_with_error_occlusion_and_steps():
    error, visible = np.array([[0, 5, 10, 0]], np.float32), np.array([[1, 1, 1, 0]], np.float32)
    cost = propagation_cost(error, visible, error_scale=5.0, occlusion_weight=0.2)
    expected = np.array([[1, np.exp(-1), np.exp(-2), 0.2]])
    np.testing.assert_allclose(propagation_weight(cost, steps=1), expected, rtol=1e-6)
    np.testing.assert_allclose(propagation_weight(cost, steps=4), expected / 4, rtol=1e-6)


def test_a_stored_cost_is_exact_to_a_twentieth_of_an_e_fold():
    cost = np.array([0, 0.04, 0.26, 2.0, 25.5, 400.0], np.float32)
    levels = quantise_cost(cost)
    assert levels.tolist() == [0, 0, 3, 20, 255, 255]
    np.testing.assert_allclose(dequantise_cost(levels)[:5], cost[:5], atol=0.05)


@given(st.floats(0, 765, width=32), st.floats(0, 1, width=32), st.integers(1, 100))
def test_masks_and_keyframes_are_weighted_as_before_they_shared_one_formula(error, visible, steps):
    """Their bytes and weights are equal bit for bit; the unquantised weight of features is within 1e-5 of itself."""
    error, visible = np.full((1, 1), error, np.float32), np.full((1, 1), visible, np.float32)
    seen = 0.1 + (1 - 0.1) * visible
    doubt = np.rint(np.clip((error / 5.0 - np.log(seen)) * 10, 0, 255)).astype(np.uint8)
    levels = quantise_cost(propagation_cost(error, visible, error_scale=5.0, occlusion_weight=0.1))
    np.testing.assert_array_equal(levels, doubt)
    weight = propagation_weight(dequantise_cost(levels), steps)
    np.testing.assert_array_equal(weight, np.exp(doubt * np.float32(-1 / 10)) / np.float32(steps))
    direct = seen * np.exp(error * np.float32(-1 / 5.0)) / np.float32(steps)
    cost = propagation_cost(error, visible, error_scale=5.0, occlusion_weight=0.1)
    np.testing.assert_allclose(propagation_weight(cost, steps), direct, rtol=2e-5, atol=1e-12)
