"""A network as a masker: trained once, then loaded; its masks find the disc."""

from functools import partial

import lightning
import numpy as np
import pytest
import torch

from dreaming.data.segmentation import SegmentationDataModule
from dreaming.maskers.network import NetworkMasker
from dreaming.models.base import SegmentationModule
from dreaming.models.fit import Budget, Workbench
from dreaming.models.segmentation_recipe import SegmentationRecipe
from dreaming.networks.unet import UNet


@pytest.fixture
def masker():
    network = partial(UNet, depth=2, width=8)
    loss = {"bce": 1.0, "dice": 1.0}
    module = partial(SegmentationModule, network=network, optimizer=torch.optim.AdamW, lr=0.01, loss_weights=loss)
    data = partial(SegmentationDataModule, crop=32, batch_size=4)
    recipe = SegmentationRecipe("unet", module, data, "val/jaccard", "max", 20, Budget(60))
    return NetworkMasker(recipe, Workbench(partial(lightning.Trainer, accelerator="cpu", devices=1)))


def test_three_masks_find_the_disc_in_every_frame(masker, disc_clip):
    drawing = disc_clip(masks=(1, 4, 8))
    clip = drawing.clip
    references = clip.references("subject", clip.stems)
    assert masker.learnt(clip, references) == "untrained"
    found = dict(masker.fit(clip, references).predict(clip, clip.stems))
    assert masker.learnt(clip, references) != "untrained"
    assert list(found) == clip.stems
    for stem, probability in found.items():
        assert probability.dtype == np.float32
        assert probability.shape == clip.size
        assert 0 <= probability.min() <= probability.max() <= 1
        truth = drawing.truth[stem]
        overlap = ((probability > 0.5) & truth).sum() / ((probability > 0.5) | truth).sum()
        assert overlap > 0.8, stem


def test_loading_gives_the_same_masks_as_training(masker, disc_clip):
    clip = disc_clip().clip
    references = clip.references("subject", clip.stems)
    first = dict(masker.fit(clip, references).predict(clip, clip.stems[:2]))
    again = NetworkMasker(masker.recipe, masker.workbench).fit(clip, references)
    for stem, probability in again.predict(clip, clip.stems[:2]):
        assert np.array_equal(probability, first[stem])
