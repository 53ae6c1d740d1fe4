"""Evidence as a network's input: simulated for hand-masked frames, real for others, made up for made-up frames."""

from dataclasses import replace

import numpy as np
import pytest

from dreaming.data.fold_data import FoldDataBuilder
from dreaming.errors import ConfigError
from dreaming.features.extractor import PropagationFeatures
from dreaming.features.inputs import FeatureInputs
from dreaming.features.lucid_dreaming import LucidDreaming, SceneChange
from dreaming.flow.dis import DisFlow

NAMES = ("near_mask", "blend", "near_gap", "distance")
INPUT = FeatureInputs(
    PropagationFeatures(DisFlow(scale=1.0), drift=None, short_side=32, round_trips=2, reach=8.0), NAMES
)
LUCID = LucidDreaming(count=2, short_side=32)


@pytest.fixture
def clip(disc_clip):
    return disc_clip(count=9, size=(48, 72), masks=(1, 4, 9)).clip


@pytest.fixture
def references(clip):
    return clip.references("subject", clip.stems)


def test_channels_are_those_that_were_named(clip, references):
    known = INPUT.extractor(clip, references)
    ((_, chosen),) = INPUT.extract(known, ["0006"])
    ((_, every),) = known.extract(["0006"])
    assert len(chosen) == 4
    for name, plane in zip(NAMES, chosen, strict=True):
        np.testing.assert_allclose(plane, every[known.channels.index(name)], atol=1e-6)
    with pytest.raises(ConfigError, match=r"^here\.channels: found near_maks, expected names among near_mask"):
        FeatureInputs(INPUT.features, ["near_maks"]).check("here")


def test_hand_masked_frames_get_as_many_versions_as_there_are_simulations(clip, references):
    versions = INPUT.simulated(INPUT.extractor(clip, references), references.stems)
    assert [each.shape for each in versions] == [(3, 32, 48, 4)] * 3
    assert versions[0].dtype == np.float16
    assert all((each[..., 2] > 0).all() for each in versions), "its own mask was given away"


def test_made_up_frames_have_evidence_that_agrees_with_their_masks(clip, references):
    made, versions = INPUT.lucid_dreaming(INPUT.extractor(clip, references), references, LUCID)
    assert made.size == (32, 48)
    assert len(made) == len(versions) == 6
    for mask, maps in zip(made.masks, versions, strict=True):
        blend = maps[0, ..., 1] > 0.5
        assert (blend & mask).sum() / (blend | mask).sum() > 0.5
    plain = LUCID.frames(references)
    assert plain.size == (32, 48)
    assert len(plain) == 6


def test_made_up_neighbours_are_carried_along_the_flow(clip, references):
    """They move far: laid over the made-up frame as they are, they would agree with its mask by 0.6 only."""
    given = FeatureInputs(INPUT.features, ("blend", "motion"))
    far = replace(LUCID, motion=SceneChange(shift=0.4, rotation=0, zoom=0, elastic_std=0))
    made, versions = given.lucid_dreaming(given.extractor(clip, references), references, far)
    overlaps = []
    for mask, maps in zip(made.masks, versions, strict=True):
        blend = maps[0, ..., 0] > 0.5
        overlaps.append((blend & mask).sum() / (blend | mask).sum())
        assert maps[..., 1].max() > 0.1, "no motion is told of"
    assert np.mean(overlaps) > 0.8, overlaps


def test_lessons_know_nothing_of_what_is_left_out(clip, references):
    """The left-out frame's mask may change as it likes: lessons and evidence for it stay the same."""
    learn, unseen = references.without(["0004"]), references.select(["0004"])
    poisoned = replace(
        references, masks=np.where([[[False]], [[True]], [[False]]], ~references.masks, references.masks)
    )
    one, other = (
        FoldDataBuilder(clip, every, INPUT, LUCID).build(learn, every.select(["0004"]))
        for every in (references, poisoned)
    )
    assert one["train"] is learn
    assert one["valid"].stems == unseen.stems
    for key in ("features", "valid_features"):
        for mine, theirs in zip(one[key], other[key], strict=True):
            np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(one["synthetic"].images, other["synthetic"].images)
    assert len(one["features"]) == len(learn) + len(one["synthetic"])


def test_lessons_without_evidence_or_dreams_are_the_frames_alone(clip, references):
    assert set(FoldDataBuilder(clip, references, None, None).build(references, None)) == {"train", "valid"}
    assert set(FoldDataBuilder(clip, references, None, LUCID).build(references, None)) == {
        "train",
        "valid",
        "synthetic",
    }
