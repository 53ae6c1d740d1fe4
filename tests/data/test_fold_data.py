"""Data of one fold: no influence of held-out hand masks, and only the arguments that are configured."""

from dataclasses import replace

import numpy as np
import pytest

from dreaming.data.fold_data import FoldDataBuilder
from dreaming.data.segmentation import SegmentationDataModule
from dreaming.features.extractor import PropagationFeatures
from dreaming.features.inputs import FeatureInputs
from dreaming.features.lucid_dreaming import LucidDreaming
from dreaming.flow.dis import DisFlow
from dreaming.imaging.colour_statistics import NEUTRAL

INPUTS = FeatureInputs(
    PropagationFeatures(DisFlow(scale=1.0), drift=None, short_side=32, round_trips=2),
    ("near_mask", "blend", "near_gap", "distance"),
)
LUCID = LucidDreaming(count=2, short_side=32)


def test_held_out_hand_masks_have_no_influence(clip, references):
    """The held-out frame's mask changes arbitrarily; training data and validation features stay the same."""
    train, valid = references.without(["0004"]), references.select(["0004"])
    poisoned = replace(
        references, masks=np.where([[[False]], [[True]], [[False]]], ~references.masks, references.masks)
    )
    one, other = (
        FoldDataBuilder(clip, every, INPUTS, LUCID).build(train, every.select(["0004"]))
        for every in (references, poisoned)
    )
    assert one["train"] is train
    assert one["valid"].stems == valid.stems
    for key in ("features", "valid_features"):
        for mine, theirs in zip(one[key], other[key], strict=True):
            np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(one["synthetic"].images, other["synthetic"].images)
    assert len(one["features"]) == len(train) + len(one["synthetic"])


@pytest.mark.parametrize("features", [None, INPUTS])
@pytest.mark.parametrize("lucid_dreaming", [None, LUCID])
def test_a_datamodule_takes_the_arguments(clip, references, features, lucid_dreaming):
    arguments = FoldDataBuilder(clip, references, features, lucid_dreaming).build(references, None)
    expected = {"train", "valid"}
    expected |= {"synthetic"} if lucid_dreaming else set()
    expected |= {"features"} if features else set()
    assert set(arguments) == expected
    data = SegmentationDataModule(statistics=NEUTRAL, crop=16, batch_size=2, **arguments)
    assert len(data.pixels) == (9 if lucid_dreaming else 3)
    assert ("features" in data.make_batch(0)) == (features is not None)
