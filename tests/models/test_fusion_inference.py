"""Scores of a fused mask and of a masker by itself."""

from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from dreaming.clip.annotations import References
from dreaming.data.mask_stack import MaskStacks
from dreaming.models.fusion_inference import jaccards
from dreaming.models.segmentation import SegmentationModule
from dreaming.networks.fusion_heads import MeanFusion
from dreaming.training.context import TrainingContext

CONTEXT = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1, precision="32-true"))


def test_a_mean_is_scored_like_the_masks_that_it_fuses():
    truth = np.zeros((2, 8, 12), bool)
    truth[:, 2:6, 2:10] = True
    half = truth.copy()
    half[:, :, 6:] = False
    predictions = np.stack([truth, half], axis=1) * np.uint8(255)
    references = References(("1", "2"), np.zeros((2, 8, 12, 3), np.uint8), truth)
    stacks = MaskStacks(references, ("exact", "half"), predictions, (1, 1), (("1",), ("2",)))
    assert jaccards(None, "exact", stacks, CONTEXT) == [1.0, 1.0]
    assert jaccards(None, "half", stacks, CONTEXT) == pytest.approx([0.5, 0.5])
    for weights, expected in (([9.0, 1.0], 1.0), ([1.0, 9.0], 0.5)):
        module = SegmentationModule(
            network=partial(MeanFusion, prior_weight=weights), optimizer=torch.optim.SGD, lr=1.0,
            loss_weights={"bce": 1.0}, features=5,
        )  # fmt: skip
        assert jaccards(module, "mean", stacks, CONTEXT) == pytest.approx([expected] * 2)
