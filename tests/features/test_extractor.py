"""Features of frames and simulated features of hand-masked ones: order, repeatability, and no leakage."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dreaming.clip.clip import Clip
from dreaming.errors import MaskError
from dreaming.features.channels import CHANNELS
from dreaming.features.extractor import PropagationFeatures, _round_gap, clear_cache
from dreaming.flow.dis import DisFlow
from dreaming.flow.propagation import FlowPropagator

SETTINGS = PropagationFeatures(DisFlow(scale=1.0), drift=None, short_side=32, round_trips=2)
ROUNDING = 1e-6  # OpenCV sums in another order if the memory alignment differs
BLEND, NEAR_GAP = CHANNELS.index("blend"), CHANNELS.index("near_gap")


def with_mask(references, stem, mask):
    masks = references.masks.copy()
    masks[references.stems.index(stem)] = mask
    return replace(references, masks=masks)


def gap(frames):
    return pytest.approx(frames / (frames + 10))


def test_features_come_in_the_requested_order_and_are_repeatable(clip, references):
    features = SETTINGS.extractor(clip, references)
    found = list(features.extract(clip.stems[::-1]))
    assert [stem for stem, _ in found] == clip.stems[::-1]
    again = SETTINGS.extractor(Clip(clip.path), references)
    for stem, maps in found:
        assert maps.shape == (len(CHANNELS), 32, 48)
        assert maps.dtype == np.float32
        assert np.isfinite(maps).all()
        assert np.abs(maps).max() < 10
        np.testing.assert_allclose(dict(again.extract([stem]))[stem], maps, atol=ROUNDING)


def test_the_nearest_hand_masks_on_both_sides_are_propagated(clip, references):
    features = SETTINGS.extractor(clip, references)
    assert [source.stem for source in features.nearest_sources("0006")] == ["0004", "0009"]
    ((_, maps),) = features.extract(["0006"])
    channels = dict(zip(CHANNELS, maps, strict=True))
    assert channels["near_gap"][0, 0] == gap(2)
    assert channels["far_gap"][0, 0] == gap(3)
    ((_, own),) = features.extract(["0004"])
    np.testing.assert_allclose(own[BLEND] > 0.5, features.mask("0004"))
    middle = features.with_references(references.select(["0004"]))
    assert [source.stem for source in middle.nearest_sources("0006")] == ["0004", "0004"]


def test_a_hand_mask_does_not_influence_its_own_simulated_features(clip, references):
    one = SETTINGS.extractor(clip, references)
    other = one.with_references(with_mask(references, "0004", np.indices((48, 72))[0] < 20))
    (left_out, *_), (left_out_too, *_) = one.simulations("0004"), other.simulations("0004")
    for stem in left_out.stems:
        same = one.simulated(left_out, stem), other.simulated(left_out_too, stem)
        np.testing.assert_allclose(*same, atol=ROUNDING)
    assert left_out.stems == ("0003", "0004", "0005")
    assert [source.stem for source in left_out.sources] == ["0001", "0009"]
    (frame,), (other_frame,) = ([maps for _, maps in features.extract(["0005"])] for features in (one, other))
    assert np.abs(frame[BLEND] - other_frame[BLEND]).max() > 0.5, "it influences other frames"


def test_round_trips_need_no_other_hand_mask(clip, references):
    both = SETTINGS.extractor(clip, references)
    alone = both.with_references(references.select(["0004"]))
    assert len(both.simulations("0004")) == 3
    simulations = alone.simulations("0004")
    assert len(simulations) == 2
    for simulation in simulations:
        assert all(source.stem != "0004" for source in simulation.sources)
        maps = alone.simulated(simulation)
        assert maps[NEAR_GAP].min() > 0
        truth = alone.mask("0004")
        found = maps[BLEND] > 0.5
        assert (found & truth).sum() / (found | truth).sum() > 0.6


def test_no_path_is_propagated_again_for_the_neighbours_of_a_simulated_frame(clip, references, monkeypatch):
    features = SETTINGS.extractor(clip, references)
    simulations = [simulation for stem in ("0001", "0004") for simulation in features.simulations(stem)]
    monkeypatch.setattr(FlowPropagator, "propagate", None)
    for simulation in simulations[1:3] + simulations[4:]:  # the round trips
        for stem in simulation.stems:
            assert features.simulated(simulation, stem).shape == (len(CHANNELS), 32, 48)


def test_round_trips_at_the_ends_of_the_clip_have_one_direction(clip, references):
    features = SETTINGS.extractor(clip, references)
    for simulation in features.simulations("0001"):
        assert simulation.stems == ("0001", "0002")
        assert all(source.stem > "0001" for source in simulation.sources)
    assert features.simulations("0009")[0].stems == ("0008", "0009")


def test_the_distances_depend_on_the_seed_only(clip, references):
    def drawn(seed):
        features = replace(SETTINGS, seed=seed, round_trips=6).extractor(clip, references)
        return [tuple(source.stem for source in simulation.sources) for simulation in features.simulations("0004")]

    assert drawn(0) == drawn(0)
    assert len({tuple(drawn(seed)) for seed in range(6)}) > 1


def test_gaps_are_rounded_to_few_values():
    assert [_round_gap(gap) for gap in (0.2, 1.4, 3.4, 5.2, 7.5, 100.0)] == [1, 1, 3, 6, 8, 96]


def test_the_colour_likelihood_separates_the_disc(clip, references):
    ((_, maps),) = SETTINGS.extractor(clip, references).extract(["0006"])
    ratio = maps[CHANNELS.index("log_ratio_all")]
    disc = cv2.resize(clip.frames.read("0006"), (48, 32), interpolation=cv2.INTER_AREA)[..., 0] > 120
    assert np.median(ratio[disc]) > 0.3
    assert np.median(ratio[~disc]) < -0.3


def test_hand_masks_of_other_clips_are_rejected(clip, references):
    others = replace(references, stems=("7", "8", "9"))
    with pytest.raises(MaskError) as caught:
        SETTINGS.extractor(clip, others)
    assert caught.value.where == str(clip.path)


def test_the_temporary_file_is_announced_once(clip, references, caplog):
    clear_cache()
    caplog.set_level("DEBUG", "dreaming.io.cache_size")
    for subset in (references, references.without(references.stems[:1])):
        SETTINGS.extractor(clip, subset)
    announced = [record.args[2] for record in caplog.records if "propagated" in record.args[0]]
    assert announced == [2 * len(clip.stems)]


def test_a_clip_of_one_frame_has_features(disc_clip):
    clip = disc_clip(count=1, masks=(1,), keyframes=()).clip
    features = SETTINGS.extractor(clip, clip.references("subject", clip.stems))
    assert np.isfinite(dict(features.extract(["0001"]))["0001"]).all()
    assert features.simulations("0001") == []


def test_hand_masks_of_other_shots_are_invisible(cut_clip):
    clip = cut_clip(masks=(2, 5)).clip
    features = SETTINGS.extractor(clip, clip.references("subject", clip.stems))
    for stem, maps in features.extract(clip.stems):
        channels = dict(zip(CHANNELS, maps, strict=True))
        assert np.isfinite(maps).all()
        assert channels["near_mask"].any() == channels["near_visible"].any() == (stem < "0007"), stem


def test_simulations_and_background_stay_within_their_shot(cut_clip):
    clip = cut_clip(masks=(1, 6, 7)).clip
    features = SETTINGS.extractor(clip, clip.references("subject", clip.stems))
    for stem, neighbours in (("0006", ("0005", "0006")), ("0007", ("0007", "0008"))):
        for simulation in features.simulations(stem):
            assert simulation.stems == neighbours
            assert np.isfinite(features.simulated(simulation)).all()
    samples = CHANNELS.index("background_samples")
    ((_, last),) = features.extract(["0006"])
    assert last[samples].max() == np.float32(1 / 50)  # only 0003 is three, six, ... frames away in the shot
