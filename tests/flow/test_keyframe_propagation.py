"""Keyframes of a static clip: where they come from, how far they are, and where they are painted."""

import numpy as np
import pytest

from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.keyframe_propagation import UNPAINTED, KeyframePropagator
from dreaming.flow.propagation import FlowPropagator


@pytest.fixture
def propagator(disc_clip):
    """A clip of seven equal frames, its keyframes 2, 4 and 7 grey of ten times their number, 4 painted on the left."""
    drawing = disc_clip(count=7, masks=(), keyframes=(2, 4, 7))
    for stem in drawing.stems:
        drawing.save(f"frames/{stem}.png", drawing.images["0001"])
    for number in (2, 4, 7):
        drawing.save(f"keyframes/painted/{number:04d}.png", np.full((32, 48, 3), 10 * number, np.uint8))
    left = np.zeros((32, 48), bool)
    left[:, :24] = True
    drawing.save("keyframes/painted/masks/0004.png", left)
    clip, (layer,) = drawing.clip, drawing.clip.layers
    flows = FlowCache(clip, DisFlow(scale=1.0))
    flows.complete(workers=1)
    return KeyframePropagator(clip, clip.masked_keyframes(layer), FlowPropagator(clip, flows), 5.0, 0.1)


def test_a_keyframe_is_propagated_to_the_wanted_frames_on_the_way(propagator):
    found = dict(propagator.propagate("0004", "0001", ["0003", "0001"]))
    assert {stem: each.steps for stem, each in found.items()} == {"0003": 1, "0001": 3}
    for each in found.values():
        np.testing.assert_array_equal(each.image, 40)
        assert (each.cost[:, :22] < 5).all()
        assert (each.cost[:, 26:] == UNPAINTED).all()


@pytest.mark.parametrize(("stem", "greys"), [("0002", [40]), ("0004", [20, 70]), ("0007", [40])])
def test_neighbours_are_the_keyframes_before_and_after(propagator, stem, greys):
    assert [each.image.max() for each in propagator.propagate_neighbours(stem)] == greys


def test_a_keyframe_at_its_own_frame_costs_nothing(propagator):
    own = propagator.keyframe("0004")
    assert own.steps == 0
    np.testing.assert_array_equal(own.cost, np.where(np.arange(48) < 24, 0, UNPAINTED)[None].repeat(32, axis=0))


def test_a_round_trip_counts_both_ways_and_shifts_by_the_error(propagator):
    error = np.zeros((32, 48, 2), np.float32)
    error[..., 0] = 1
    back = propagator.round_trip("0004", "0006", error, error_per_step=2.0)
    assert back.steps == 4
    # 8 pixels to the left: painted is what lies 8 pixels left of the edge of the mask
    assert (back.cost[:4, :14] != UNPAINTED).all()  # above the disc
    assert (back.cost[:, 18:] == UNPAINTED).all()
