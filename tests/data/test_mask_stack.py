"""Mask stacks: crops and frames hold the masks of their own pixels."""

import numpy as np
import pytest
import torch

from dreaming.clip.annotations import References
from dreaming.data.augment import GeometricAugmentation
from dreaming.data.mask_stack import MaskStacks, gap_level, stack_channels
from dreaming.data.segmentation import SegmentationDataModule
from dreaming.imaging.colour_statistics import NEUTRAL


@pytest.fixture
def stacks():
    rng = np.random.default_rng(0)
    masks = np.zeros((3, 20, 30), bool)
    masks[:, 5:12, 8:19] = True
    references = References(("1", "2", "3"), rng.integers(0, 256, (3, 20, 30, 3), np.uint8), masks)
    found = np.stack([np.stack([mask * np.uint8(200), ~mask * np.uint8(100)]) for mask in masks])
    inconsistency = found // 2
    return MaskStacks(references, ("a", "b"), found, (4, 2, 0), (("1",), ("2",), ("3",)), inconsistency)


def test_the_gap_is_encoded_logarithmically():
    assert [gap_level(frames) for frames in (0, 1, 31, 1023, 5000)] == [0, 26, 128, 255, 255]


def test_channels_are_masks_inconsistencies_and_gap():
    maps = [np.full((2, 3), 0.5, np.float32), np.full((2, 3), 7, np.uint8)]
    found = stack_channels(maps, np.stack([np.full((2, 3), 3, np.uint8), np.full((2, 3), 4, np.uint8)]), 31)
    assert found.shape == (2, 3, 5)
    assert found[0, 0].tolist() == [128, 7, 3, 4, 128]
    assert stack_channels(maps, None, 31)[0, 0].tolist() == [128, 7, 0, 0, 128]


def test_frames_are_selected_with_all_their_data(stacks):
    rest = stacks.without(["2"])
    assert rest.references.stems == ("1", "3")
    assert rest.gaps == (4, 0)
    assert np.array_equal(rest.predictions, stacks.predictions[[0, 2]])
    assert np.array_equal(rest.inconsistency, stacks.inconsistency[[0, 2]])
    assert stacks.select(["3"]).gaps == (0,)


def datamodule(stacks, valid=None, **more):
    features, seen = ([each.channels(index) for index in range(len(each))] for each in (stacks, valid or stacks))
    return SegmentationDataModule(
        stacks.references, valid and valid.references, NEUTRAL,
        features=[each[None] for each in features], valid_features=seen, crop=16, **more,
    )  # fmt: skip


@pytest.mark.parametrize("geometry", [None, GeometricAugmentation(flip_horizontal=1.0)])
def test_crops_hold_masks_that_fit_the_hand_mask(stacks, geometry):
    data = datamodule(stacks, batch_size=6, geometry=geometry)
    batch = data.on_after_batch_transfer(data.make_batch(0))
    assert batch["image"].shape == (6, 3, 16, 16)
    assert batch["features"].shape == (6, 5, 16, 16)
    assert set(batch["mask"].unique().tolist()) == {0.0, 1.0}
    inside = batch["mask"][:, 0] > 0.5
    assert torch.allclose(batch["features"][:, 0], torch.where(inside, 200 / 255, 0.0), atol=1e-6)
    assert torch.allclose(batch["features"][:, 1], torch.where(inside, 0.0, 100 / 255), atol=1e-6)
    assert torch.allclose(batch["features"][:, 2], torch.where(inside, 100 / 255, 0.0), atol=1e-6)
    assert {round(float(gap) * 255) for gap in batch["features"][:, 4].unique()} <= {gap_level(n) for n in (4, 2, 0)}


def test_whole_frames_hold_the_stack(stacks):
    data = datamodule(stacks.select(["1"]), stacks.select(["2", "3"]))
    (first, _) = list(data.val_dataloader())
    batch = data.on_after_batch_transfer(first)
    assert batch["features"].shape == (1, 5, 20, 30)
    assert float(batch["features"][0, 4, 0, 0]) == pytest.approx(gap_level(2) / 255)
