"""Evidence for frames and simulated evidence for hand-masked ones: order, sameness, and no leakage."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError, MaskError
from dreaming.features.channels import CHANNELS
from dreaming.features.extractor import PropagationFeatures, _rung
from dreaming.flow.dis import DisFlow

SETTINGS = PropagationFeatures(DisFlow(scale=1.0), drift=None, short_side=32, round_trips=2, reach=8.0)
ROUNDING = 1e-6  # OpenCV adds in another order where an array lies otherwise in memory
BLEND, NEAR_GAP = CHANNELS.index("blend"), CHANNELS.index("near_gap")


@pytest.fixture
def clip(disc_clip):
    return disc_clip(count=9, size=(48, 72), masks=(1, 4, 9)).clip


@pytest.fixture
def references(clip):
    return clip.references("subject", clip.stems)


def with_mask(references, stem, mask):
    masks = references.masks.copy()
    masks[references.stems.index(stem)] = mask
    return replace(references, masks=masks)


def gap(frames):
    return pytest.approx(frames / (frames + 10))


def test_frames_come_in_the_order_asked_and_alike_each_time(clip, references):
    features = SETTINGS.extractor(clip, references)
    assert features.channels == CHANNELS
    found = list(features.extract(clip.stems[::-1]))
    assert [stem for stem, _ in found] == clip.stems[::-1]
    again = SETTINGS.extractor(Clip(clip.path), references)
    for stem, stack in found:
        assert stack.shape == (len(CHANNELS), 32, 48)
        assert stack.dtype == np.float32
        assert np.isfinite(stack).all()
        assert np.abs(stack).max() < 10
        np.testing.assert_allclose(dict(again.extract([stem]))[stem], stack, atol=ROUNDING)


def test_the_nearest_hand_masks_on_both_sides_are_carried(clip, references):
    features = SETTINGS.extractor(clip, references)
    assert [origin.stem for origin in features.nearest_sources("0006")] == ["0004", "0009"]
    ((_, stack),) = features.extract(["0006"])
    channels = dict(zip(CHANNELS, stack, strict=True))
    assert channels["near_gap"][0, 0] == gap(2)
    assert channels["far_gap"][0, 0] == gap(3)
    ((_, own),) = features.extract(["0004"])
    np.testing.assert_allclose(own[BLEND] > 0.5, features.mask("0004"))
    middle = features.with_references(references.select(["0004"]))
    assert [origin.stem for origin in middle.nearest_sources("0006")] == ["0004", "0004"]


def test_what_is_left_out_has_no_part_in_its_own_evidence(clip, references):
    one = SETTINGS.extractor(clip, references)
    other = one.with_references(with_mask(references, "0004", np.indices((48, 72))[0] < 20))
    (left_out, *_), (left_out_too, *_) = one.simulations("0004"), other.simulations("0004")
    for stem in left_out.stems:
        same = one.simulated(left_out, stem), other.simulated(left_out_too, stem)
        np.testing.assert_allclose(*same, atol=ROUNDING)
    assert left_out.stems == ("0003", "0004", "0005")
    assert [origin.stem for origin in left_out.sources] == ["0001", "0009"]
    (frame,), (other_frame,) = ([stack for _, stack in features.extract(["0005"])] for features in (one, other))
    assert np.abs(frame[BLEND] - other_frame[BLEND]).max() > 0.5, "where it may have a part it has one"


def test_round_trips_needs_no_other_hand_mask(clip, references):
    both = SETTINGS.extractor(clip, references)
    alone = both.with_references(references.select(["0004"]))
    assert len(both.simulations("0004")) == 3
    simulations = alone.simulations("0004")
    assert len(simulations) == 2
    for simulation in simulations:
        assert all(origin.stem != "0004" for origin in simulation.sources)
        stack = alone.simulated(simulation)
        assert stack[NEAR_GAP].min() > 0
        truth = alone.mask("0004")
        found = stack[BLEND] > 0.5
        assert (found & truth).sum() / (found | truth).sum() > 0.6


def test_at_an_end_it_goes_twice_the_same_way(clip, references):
    features = SETTINGS.extractor(clip, references)
    for simulation in features.simulations("0001"):
        assert simulation.stems == ("0001", "0002")
        assert all(origin.stem > "0001" for origin in simulation.sources)
    assert features.simulations("0009")[0].stems == ("0008", "0009")


def test_the_seed_alone_draws_the_distances(clip, references):
    def drawn(seed):
        features = replace(SETTINGS, seed=seed, round_trips=6).extractor(clip, references)
        return [tuple(origin.stem for origin in simulation.sources) for simulation in features.simulations("0004")]

    assert drawn(0) == drawn(0)
    assert len({tuple(drawn(seed)) for seed in range(6)}) > 1


def test_distances_are_few():
    assert [_rung(distance) for distance in (0.2, 1.4, 3.4, 5.2, 7.5, 100.0)] == [1, 1, 3, 6, 8, 96]


def test_colours_tell_the_disc(clip, references):
    ((_, stack),) = SETTINGS.extractor(clip, references).extract(["0006"])
    ratio = stack[CHANNELS.index("palette_ratio")]
    disc = cv2.resize(clip.frames.read("0006"), (48, 32), interpolation=cv2.INTER_AREA)[..., 0] > 120
    assert np.median(ratio[disc]) > 0.3
    assert np.median(ratio[~disc]) < -0.3


def test_hand_masks_of_other_clips_and_odd_settings_are_refused(clip, references):
    strangers = replace(references, stems=("7", "8", "9"))
    with pytest.raises(MaskError, match="no hand mask of any of the clip's frames"):
        SETTINGS.extractor(clip, strangers)
    with pytest.raises(ConfigError, match="round_trips"):
        replace(SETTINGS, round_trips=-1)


def test_a_clip_of_one_frame_has_evidence(disc_clip):
    clip = disc_clip(count=1, masks=(1,), keyframes=()).clip
    features = SETTINGS.extractor(clip, clip.references("subject", clip.stems))
    assert np.isfinite(dict(features.extract(["0001"]))["0001"]).all()
    assert features.simulations("0001") == []
