"""A network as a masker: trained once, then loaded; its masks find the disc."""

from dataclasses import replace
from functools import partial

import lightning
import numpy as np
import pytest
import torch

from dreaming.data.evidence import Evidence
from dreaming.data.evidence_input import EvidenceInput
from dreaming.data.lucid import Lucid
from dreaming.data.segmentation import SegmentationDataModule
from dreaming.errors import ConfigError
from dreaming.frames.flow import DisFlow
from dreaming.frames.statistics import NEUTRAL
from dreaming.maskers.flow import FlowMasker
from dreaming.maskers.given_maps import MaskerMaps
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


def test_a_network_with_evidence_and_made_up_frames_finds_the_disc_from_two_masks(masker, disc_clip):
    drawing = disc_clip(masks=(1, 8))
    clip = drawing.clip
    references = clip.references("subject", clip.stems)
    evidence = Evidence(DisFlow(scale=1.0), short_side=None, there_and_back=2, reach=8.0)
    recipe = replace(
        masker.recipe,
        inputs=("rgb", "evidence"),
        evidence=EvidenceInput(evidence, ("near_mask", "blend", "distance")),
        lucid=Lucid(count=2, short_side=None),
    )
    found = dict(NetworkMasker(recipe, masker.workbench).fit(clip, references).predict(clip, clip.stems[2:5]))
    assert list(found) == clip.stems[2:5]
    for stem, probability in found.items():
        truth = drawing.truth[stem]
        overlap = ((probability > 0.5) & truth).sum() / ((probability > 0.5) | truth).sum()
        assert overlap > 0.8, stem


def test_evidence_that_is_not_an_input_does_not_tell_trainings_apart(masker, disc_clip):
    clip = disc_clip().clip
    references = clip.references("subject", clip.stems)

    def identity(**changes):
        return replace(masker.recipe, **changes).identity(clip, references, masker.workbench)

    evidence = EvidenceInput(Evidence(DisFlow(scale=1.0)), ("blend",))
    assert identity(evidence=evidence) == identity()
    assert identity(evidence=evidence, inputs=("rgb", "evidence")) != identity(inputs=("rgb",))
    with pytest.raises(ConfigError, match=r"model\.unet\.inputs: found flow, expected rgb, and any of position"):
        identity(inputs=("rgb", "flow"))


def test_the_prior_is_a_mask_that_the_network_is_given(masker):
    evidence = EvidenceInput(Evidence(DisFlow(scale=1.0)), ("near_mask", "distance", "blend"), prior="blend")
    recipe = replace(masker.recipe, inputs=("rgb", "evidence"), evidence=evidence)
    assert recipe.build(NEUTRAL).prior == 2
    given = MaskerMaps({"flow": FlowMasker(DisFlow())})
    assert replace(recipe, evidence=replace(evidence, prior="flow"), given=given).build(NEUTRAL).prior == 3
    assert replace(recipe, inputs=("rgb",), given=given).build(NEUTRAL).prior is None
    for name in ("distance", "far_mask", "flow"):
        expected = rf"model\.unet\.evidence\.prior: found {name}, expected null or one of near_mask, blend"
        with pytest.raises(ConfigError, match=expected):
            replace(recipe, evidence=replace(evidence, prior=name))


def test_no_masker_finds_anything_in_made_up_frames(masker):
    given = MaskerMaps({"flow": FlowMasker(DisFlow())})
    with pytest.raises(ConfigError, match=r"model\.unet\.lucid: found made-up frames beside maps of flow"):
        replace(masker.recipe, lucid=Lucid(count=2), given=given)
