"""A network as a masker: trained once, then loaded; its masks find the disc."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from dreaming.clip.clip import Clip
from dreaming.data.fold_data import TrainingMasks
from dreaming.data.segmentation import SegmentationDataModule
from dreaming.errors import ParameterError
from dreaming.features.extractor import PropagationFeatures
from dreaming.features.inputs import FeatureInputs
from dreaming.features.lucid_dreaming import LucidDreaming
from dreaming.flow.dis import DisFlow
from dreaming.imaging.colour_statistics import NEUTRAL
from dreaming.maskers.flow import FlowMasker
from dreaming.maskers.network import NetworkMasker, UntrainedMasker
from dreaming.maskers.segmentation_task import SegmentationTask
from dreaming.models.segmentation import SegmentationModule
from dreaming.networks.unet import UNet
from dreaming.training.context import FitLimits, TrainingContext


@pytest.fixture
def masker():
    network = partial(UNet, depth=2, width=8)
    loss = {"bce": 1.0, "dice": 1.0}
    module = partial(SegmentationModule, network=network, optimizer=torch.optim.AdamW, lr=0.01, loss_weights=loss)
    data = partial(SegmentationDataModule, crop=32, batch_size=4)
    task = SegmentationTask("unet", module, data, "val/jaccard", "max", 20, FitLimits(60))
    return NetworkMasker(task, TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1)))


@pytest.mark.slow
def test_three_masks_find_the_disc_in_every_frame(masker, disc_clip):
    drawing = disc_clip(masks=(1, 4, 8))
    clip = drawing.clip
    references = clip.references("subject", clip.stems)
    assert masker.fitted_fingerprint(clip, references) == "untrained"
    found = dict(masker.fit(clip, references).predict(clip, clip.stems))
    assert masker.fitted_fingerprint(clip, references) != "untrained"
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
    masker = NetworkMasker(replace(masker.task, limits=FitLimits(4)), masker.context)
    first = dict(masker.fit(clip, references).predict(clip, clip.stems[:2]))
    again = NetworkMasker(masker.task, masker.context).fit(clip, references)
    for stem, probability in again.predict(clip, clip.stems[:2]):
        assert np.array_equal(probability, first[stem])


@pytest.mark.slow
def test_a_network_with_evidence_and_made_up_frames_finds_the_disc_from_two_masks(masker, disc_clip):
    drawing = disc_clip(masks=(1, 8))
    clip = drawing.clip
    references = clip.references("subject", clip.stems)
    features = PropagationFeatures(DisFlow(scale=1.0), short_side=None, round_trips=2)
    task = replace(
        masker.task,
        inputs=("rgb", "features"),
        features=FeatureInputs(features, ("near_mask", "blend", "distance")),
        lucid_dreaming=LucidDreaming(count=2, short_side=None),
    )
    found = dict(NetworkMasker(task, masker.context).fit(clip, references).predict(clip, clip.stems[2:5]))
    assert list(found) == clip.stems[2:5]
    for stem, probability in found.items():
        truth = drawing.truth[stem]
        overlap = ((probability > 0.5) & truth).sum() / ((probability > 0.5) | truth).sum()
        assert overlap > 0.8, stem


def test_evidence_that_is_not_an_input_does_not_tell_trainings_apart(masker, disc_clip):
    clip = disc_clip().clip
    references = clip.references("subject", clip.stems)

    def fingerprint(**changes):
        return replace(masker.task, **changes).fingerprint(clip, TrainingMasks.of(clip, references), masker.context)

    features = FeatureInputs(PropagationFeatures(DisFlow(scale=1.0)), ("blend",))
    assert fingerprint(features=features) == fingerprint()
    assert fingerprint(features=features, inputs=("rgb", "features")) != fingerprint(inputs=("rgb",))
    with pytest.raises(ParameterError) as caught:
        fingerprint(inputs=("position",))
    assert caught.value.name == "inputs"


def test_the_prior_is_a_mask_that_the_network_is_given(masker):
    features = FeatureInputs(PropagationFeatures(DisFlow(scale=1.0)), ("near_mask", "distance", "blend"), prior="blend")
    task = replace(masker.task, inputs=("rgb", "features"), features=features)
    assert task.build(NEUTRAL).prior == 2
    extra_inputs = {"flow": FlowMasker(DisFlow())}
    assert replace(task, features=replace(features, prior="flow"), extra_inputs=extra_inputs).build(NEUTRAL).prior == 3
    assert replace(task, inputs=("rgb",), extra_inputs=extra_inputs).build(NEUTRAL).prior is None
    for name in ("distance", "far_mask", "flow"):
        with pytest.raises(ParameterError) as caught:
            replace(task, features=replace(features, prior=name))
        assert (caught.value.name, caught.value.found) == ("features.prior", name)


def test_no_masker_finds_anything_in_made_up_frames(masker):
    extra_inputs = {"flow": FlowMasker(DisFlow())}
    with pytest.raises(ParameterError) as caught:
        replace(masker.task, lucid_dreaming=LucidDreaming(count=2), extra_inputs=extra_inputs)
    assert caught.value.name == "lucid_dreaming"


def test_nothing_of_the_forward_call_stays_active_in_the_consumer(masker, disc_clip):
    clip = disc_clip(masks=(1, 8)).clip
    context = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1, precision="bf16-mixed"))
    untrained = UntrainedMasker(masker.task, context).fit(clip, clip.references("subject", clip.stems))
    for _ in untrained.predict(clip, clip.stems[:2]):
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")


def test_the_split_is_read_once_for_a_training(masker, disc_clip, monkeypatch):
    clip, calls = disc_clip(masks=(1, 8)).clip, []
    split, fingerprint = Clip.split, SegmentationTask.fingerprint
    monkeypatch.setattr(Clip, "split", lambda *args: calls.append("split") or split(*args))
    monkeypatch.setattr(SegmentationTask, "fingerprint", lambda *args: calls.append("print") or fingerprint(*args))
    references = clip.references("subject", clip.stems)
    task = replace(masker.task, limits=FitLimits(1))
    task.find_or_train(clip, TrainingMasks.of(clip, references), masker.context)
    assert sorted(calls) == ["print", "split"]
