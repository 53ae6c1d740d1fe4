"""Features as network input: extracted, simulated for hand-masked frames, and of synthetic frames."""

from dataclasses import replace

import numpy as np
import pytest

from dreaming.errors import ParameterError
from dreaming.features import inputs
from dreaming.features.channels import CHANNELS
from dreaming.features.extractor import PropagationFeatures
from dreaming.features.inputs import FeatureInputs
from dreaming.features.lucid_dreaming import LucidDreaming, SceneChange
from dreaming.flow.dis import DisFlow

NAMES = ("near_mask", "blend", "near_gap", "distance")
INPUT = FeatureInputs(PropagationFeatures(DisFlow(scale=1.0), drift=None, short_side=32, round_trips=2), NAMES)
LUCID = LucidDreaming(count=2, short_side=32)


def test_channels_are_selected_by_name(clip, references):
    extractor = INPUT.extractor(clip, references)
    ((_, chosen),) = INPUT.extract(extractor, ["0006"])
    ((_, every),) = extractor.extract(["0006"])
    assert len(chosen) == 4
    for name, plane in zip(NAMES, chosen, strict=True):
        np.testing.assert_allclose(plane, every[CHANNELS.index(name)], atol=1e-6)
    with pytest.raises(ParameterError) as caught:
        FeatureInputs(INPUT.features, ["near_maks"])
    assert (caught.value.name, caught.value.found) == ("channels", "near_maks")


def test_hand_masked_frames_have_one_version_per_simulation(clip, references):
    versions = INPUT.simulate(INPUT.extractor(clip, references), references.stems)
    assert [each.shape for each in versions] == [(3, 32, 48, 4)] * 3
    assert versions[0].dtype == np.float16
    assert all((each[..., 2] > 0).all() for each in versions), "its own mask leaked"


def test_maps_are_reduced_to_the_network_s_size(clip, references):
    small = replace(INPUT, short_side=16)
    extractor = INPUT.extractor(clip, references)
    ((_, full),), ((_, reduced),) = (each.extract(extractor, ["0006"]) for each in (INPUT, small))
    np.testing.assert_allclose(reduced, full.reshape(4, 16, 2, 24, 2).mean(axis=(2, 4)), atol=1e-5)
    assert small.simulate(extractor, references.stems)[0].shape == (3, 16, 24, 4)


def test_features_of_synthetic_frames_agree_with_their_masks(clip, references):
    made, versions = INPUT.synthesise(INPUT.extractor(clip, references), references, LUCID)
    assert made.size == (32, 48)
    assert len(made) == len(versions) == 6
    for mask, maps in zip(made.masks, versions, strict=True):
        blend = maps[0, ..., 1] > 0.5
        assert (blend & mask).sum() / (blend | mask).sum() > 0.5
    plain = LUCID.synthesise(references)
    assert plain.size == (32, 48)
    assert len(plain) == 6


def test_synthetic_neighbours_are_propagated_along_the_flow(clip, references, monkeypatch):
    """The subject moves far: without propagation, a neighbour's mask would overlap by 0.6 only."""
    given = FeatureInputs(INPUT.features, ("blend", "motion"))
    far = SceneChange(shift=0.4, rotation=0, zoom=0, elastic_std=0)
    monkeypatch.setattr(inputs, "SUBJECT_MOTION", far)
    made, versions = given.synthesise(given.extractor(clip, references), references, LUCID)
    overlaps = []
    for mask, maps in zip(made.masks, versions, strict=True):
        blend = maps[0, ..., 0] > 0.5
        overlaps.append((blend & mask).sum() / (blend | mask).sum())
        assert maps[..., 1].max() > 0.1, "the motion channel is empty"
    assert np.mean(overlaps) > 0.8, overlaps
