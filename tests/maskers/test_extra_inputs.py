"""Maps of other maskers as a network's input: by maskers that saw no more than the network may know."""

import shutil
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from dreaming.artifacts.fingerprint import NO_EFFECT
from dreaming.data.fold_data import FoldDataBuilder
from dreaming.data.segmentation import SegmentationDataModule
from dreaming.errors import MaskError, ParameterError
from dreaming.features.extractor import PropagationFeatures
from dreaming.features.inputs import FeatureInputs
from dreaming.flow.dis import DisFlow
from dreaming.maskers.extra_inputs import masker_maps
from dreaming.maskers.flow import FlowMasker
from dreaming.maskers.network import NetworkMasker
from dreaming.maskers.segmentation_task import SegmentationTask
from dreaming.models.segmentation import SegmentationModule
from dreaming.networks.cnn import CNN
from dreaming.networks.unet import UNet
from dreaming.training.context import FitLimits, TrainingContext

STEMS = ("0001", "0003", "0005", "0008")
EVIDENCE = FeatureInputs(
    PropagationFeatures(DisFlow(scale=1.0), drift=None, short_side=16, round_trips=1), ("blend", "distance")
)


SMALL = partial(CNN, intermediate_channels=4, num_layers=2, kernel_size=3, padding="zero")


@dataclass
class Counting(FlowMasker):
    """The flow masker, which notes what it learnt from."""

    training_frames: list = field(default_factory=list, metadata=NO_EFFECT)

    def fit(self, clip, references):
        self.training_frames.append(references.stems)
        return super().fit(clip, references)


@pytest.fixture
def clip(disc_clip):
    return disc_clip(masks=(1, 3, 5, 8)).clip


@pytest.fixture
def references(clip):
    return clip.references("subject", STEMS)


def network(given, name="cnn", net=SMALL, **changes):
    loss = {"bce": 1.0, "dice": 1.0}
    module = partial(SegmentationModule, network=net, optimizer=torch.optim.AdamW, lr=0.02, loss_weights=loss)
    data = partial(SegmentationDataModule, crop=24, batch_size=2)
    task = SegmentationTask(
        name, module, data, "val/jaccard", "max", 4, FitLimits(4), extra_inputs=given or {}, **changes
    )
    return NetworkMasker(task, TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1)))


def maps(clip, maskers, references):
    return partial(masker_maps, clip, maskers, references)


def levels(clip, references, stem):
    """A frame's map by flow from these masks alone, as it is kept."""
    ((_, found),) = FlowMasker(DisFlow()).fit(clip, references).predict(clip, [stem])
    return np.rint(found * 255) / 255


def test_a_fold_s_maps_come_from_masks_without_its_own_and_without_each_frame_s(clip, references):
    given = {"flow": FlowMasker(DisFlow())}
    learn, unseen = references.without(["0003"]), references.select(["0003"])
    lesson = FoldDataBuilder(clip, references, None, None, maps(clip, given, references), references.folds()).build(
        learn, unseen
    )
    for stem, versions in zip(learn.stems, lesson["features"], strict=True):
        assert versions.shape == (1, *clip.size, 1)
        expected = levels(clip, learn.without([stem]), stem)
        np.testing.assert_allclose(versions[0, ..., 0], expected, atol=1e-3)
    np.testing.assert_allclose(lesson["valid_features"][0][..., 0], levels(clip, learn, "0003"), atol=1e-3)


def test_maps_lie_behind_every_version_of_the_evidence_at_its_size(clip, references):
    given = {"flow": FlowMasker(DisFlow()), "again": FlowMasker(DisFlow(), edge_radius=3)}
    plain = FoldDataBuilder(clip, references, EVIDENCE, None).build(references, None)
    lesson = FoldDataBuilder(clip, references, EVIDENCE, None, maps(clip, given, references), references.folds()).build(
        references, None
    )
    assert set(lesson) == {"train", "valid", "features"}
    for mine, versions in zip(plain["features"], lesson["features"], strict=True):
        assert versions.shape == (2, 16, 24, 4)
        np.testing.assert_array_equal(versions[..., :2], mine)
        np.testing.assert_array_equal(versions[0, ..., 2:], versions[1, ..., 2:])


def test_every_pair_of_folds_and_every_fold_is_fitted_once(clip, references):
    flow = Counting(DisFlow())
    masker = network({"flow": flow}).fit(clip, references)
    sizes = sorted(len(stems) for stems in flow.training_frames)
    assert sizes == [2] * 6 + [3] * 4
    assert len(set(flow.training_frames)) == 10
    dict(masker.predict(clip, clip.stems))
    assert flow.training_frames[10:] == [STEMS]
    masker.fit_without(clip, references, references.select(["0003"]))
    dict(masker.predict(clip, ["0004"]))
    dict(masker.fit(clip, references).predict(clip, clip.stems))
    assert flow.training_frames[11:] == [("0001", "0005", "0008")], "only for a frame that was not asked for before"


def test_many_masks_are_left_out_by_parts(disc_clip):
    clip, flow = disc_clip(count=9, masks=tuple(range(1, 10))).clip, Counting(DisFlow())
    every = clip.references("subject", clip.stems)
    lessons = FoldDataBuilder(clip, every, None, None, maps(clip, {"flow": flow}, every), every.folds(3))
    for part in every.folds(3):
        lessons.build(every.without(part.stems), part)
    lessons.build(every, None)
    assert sorted(len(stems) for stems in flow.training_frames) == [3] * 3 + [6] * 3


@pytest.mark.slow
def test_the_network_corrects_a_given_map_where_it_is_the_prior(clip, references):
    given = {"flow": FlowMasker(DisFlow())}
    features = replace(EVIDENCE, prior="flow")
    masker = network(given, inputs=("rgb", "features"), features=features)
    assert masker.task.channels == ("blend", "distance", "flow")
    found = dict(masker.fit(clip, references).predict(clip, clip.stems))
    assert masker._module.prior == 2
    truth = clip.references("subject", STEMS)
    for stem, mask in zip(truth.stems, truth.masks, strict=True):
        assert ((found[stem] > 0.5) == mask).mean() > 0.9


class Dropping(UNet):
    """A network that draws random numbers as it learns."""

    def forward(self, image, positions=None):
        return torch.nn.functional.dropout2d(super().forward(image, positions), training=self.training)


@pytest.mark.slow
def test_a_network_is_given_a_network_and_learns_the_same_whether_that_is_trained_or_not(clip, references):
    dropping = partial(Dropping, depth=2, width=4)
    masker = network({"inner": network(None, "inner")}, net=dropping)
    first = dict(masker.fit_without(clip, references, references.select(["0001"])).predict(clip, ["0002"]))
    shutil.rmtree(clip.runs("cnn"))
    again = dict(masker.fit_without(clip, references, references.select(["0001"])).predict(clip, ["0002"]))
    np.testing.assert_array_equal(first["0002"], again["0002"])


def test_held_out_masks_are_left_out_of_all_maps_to_learn_from(disc_clip):
    drawing, flow = disc_clip(count=9, masks=()), Counting(DisFlow())
    for number in range(1, 10):
        folder, stem = "valid" if number % 3 else "train", f"{number:04d}"
        drawing.save(f"nn/{folder}_input/{stem}.png", drawing.images[stem])
        drawing.save(f"nn/{folder}_output/{stem}.png", drawing.truth[stem])
    clip = drawing.clip
    network({"flow": flow}).fit(clip, clip.references("subject", clip.split("subject").nn))
    train = {"0003", "0006", "0009"}
    assert sorted(map(sorted, flow.training_frames)) == sorted(
        [*(sorted(train - {stem}) for stem in train), sorted(train)]
    )


def test_what_it_is_given_is_what_it_builds_on(clip, references):
    flow = FlowMasker(DisFlow())
    assert network({"flow": flow, "pixels": None}).base_maskers == {"flow": flow}
    masker = network({"flow": flow, "cnn": network(None)})
    assert masker.base_maskers["flow"] is flow
    assert masker.fitted_fingerprint(clip, references) != network(None).fitted_fingerprint(clip, references)
    assert network(None).base_maskers == {}


@pytest.mark.slow
@pytest.mark.parametrize("given", [None, {"flow": FlowMasker(DisFlow())}], ids=["features", "maps"])
def test_hand_masks_of_pictures_that_are_no_frames_are_left_out(disc_clip, caplog, given):
    drawing = disc_clip(masks=(), keyframes=())
    for name, stem in {"0001": "0001", "0004": "0004", "0008": "0008", "elsewhere": "0003"}.items():
        drawing.save(f"nn/train_input/{name}.png", drawing.images[stem])
        drawing.save(f"nn/train_output/{name}.png", drawing.truth[stem])
    clip = drawing.clip
    references = clip.references("subject", clip.split("subject").nn)
    assert "elsewhere" in references.stems
    masker = network(given, inputs=("rgb", "features"), features=EVIDENCE).fit(clip, references)
    assert "1 hand masks belong to no frame of the clip" in caplog.text
    made = list(clip.runs("cnn").rglob("*.ckpt"))
    masker.fit_without(clip, references, references.select(["0004"]))
    assert [stem for stem, _ in masker.predict(clip, ["0002", "0004"])] == ["0002", "0004"]
    assert list(clip.runs("cnn").rglob("*.ckpt")) == made, "the fold serves"


def test_two_folds_are_too_few_to_leave_out_two():
    with pytest.raises(ParameterError) as caught:
        network({"flow": FlowMasker(DisFlow())}, folds=2)
    assert (caught.value.name, caught.value.found) == ("folds", "2")


def test_two_masks_are_too_few_to_leave_out_two(disc_clip):
    clip = disc_clip(masks=(1, 8)).clip
    given = {"flow": FlowMasker(DisFlow())}
    with pytest.raises(MaskError) as caught:
        network(given).fit(clip, clip.references("subject", ["0001", "0008"]))
    assert caught.value.found.startswith("2 hand masks")
    assert caught.value.expected == "at least 3"
