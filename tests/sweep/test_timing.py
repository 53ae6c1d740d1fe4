"""Seconds per frame: which frames are timed, and with which inputs."""

import time
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from dreaming.data.segmentation import SegmentationDataModule
from dreaming.features.extractor import PropagationFeatures
from dreaming.features.inputs import FeatureInputs
from dreaming.flow.dis import DisFlow
from dreaming.guides.position import PositionGuide
from dreaming.maskers.base import Masker
from dreaming.maskers.segmentation_task import SegmentationTask
from dreaming.models.segmentation import SegmentationModule
from dreaming.models.style import StyleModule
from dreaming.models.style_task import StyleTask
from dreaming.networks.unet import UNet
from dreaming.sweep.timing import REPEATS, masker_seconds_per_frame, seconds_per_frame
from dreaming.training.context import FitLimits, TrainingContext

PAUSE = 0.02


@dataclass
class Slow(Masker):
    """A masker that pauses for each frame, and longer for its first prediction, as if it filled a cache."""

    def fit(self, clip, references):
        self.asked = []
        time.sleep(10 * PAUSE)
        return self

    def predict(self, clip, stems):
        self.asked.append(list(stems))
        if len(self.asked) == 1:
            time.sleep(10 * PAUSE)
        for stem in stems:
            time.sleep(PAUSE)
            yield stem, np.zeros(clip.size, np.float32)


@pytest.mark.parametrize(
    ("masks", "stems"), [((1, 4, 8), ["0002", "0003"]), ((2, 3, 8), ["0004", "0005", "0006", "0007"])]
)
def test_the_shortest_interval_between_hand_masks_is_timed_after_the_fit(disc_clip, masks, stems):
    masker = Slow()
    seconds = masker_seconds_per_frame(masker, disc_clip(masks=masks).clip)
    assert masker.asked == [stems] * REPEATS
    assert seconds >= PAUSE


def test_without_an_interval_between_hand_masks_all_frames_are_timed(disc_clip):
    masker = Slow()
    masker_seconds_per_frame(masker, disc_clip(count=3, masks=(1, 2, 3)).clip)
    assert masker.asked == [["0001", "0002", "0003"]] * REPEATS


CONTEXT = TrainingContext(partial(pl.Trainer, accelerator="cpu", devices=1))


@dataclass(frozen=True)
class RecordingInputs(FeatureInputs):
    """Records the frames that it is asked for, and the extractors."""

    asked: list = field(default_factory=list)

    def extract(self, extractor, stems):
        self.asked.append((extractor, list(stems)))
        return super().extract(extractor, stems)


@pytest.mark.parametrize("inputs", [("rgb", "features"), ("rgb", "position")])
def test_a_segmentation_model_is_timed_with_its_features_computed_each_time(disc_clip, inputs):
    network = partial(UNet, depth=2, width=2)
    module = partial(SegmentationModule, network=network, optimizer=torch.optim.AdamW, lr=0.01, loss_weights={"bce": 1})
    data = partial(SegmentationDataModule, crop=32, batch_size=4)
    features = RecordingInputs(
        PropagationFeatures(DisFlow(scale=1.0), short_side=None), ("near_mask", "blend"), prior="blend"
    )
    task = SegmentationTask(
        "unet", module, data, "val/jaccard", "max", 20, FitLimits(60), inputs=inputs, features=features
    )
    drawing = disc_clip(masks=(1, 4, 8))
    assert seconds_per_frame(task, drawing.clip, CONTEXT) > 0
    assert [stems for _, stems in features.asked] == [["0002", "0003"]] * ("features" in inputs and REPEATS)
    assert len({id(extractor._propagator) for extractor, _ in features.asked}) == len(features.asked), (
        "propagated masks were reused"
    )
    assert not (drawing.path / "runs").exists(), "nothing is trained"


def test_a_style_network_is_timed_with_its_guides(disc_clip):
    seen = []

    class Generator(torch.nn.Conv2d):
        margin, multiple = 0, 1

        def __init__(self, channels, painted):
            super().__init__(channels, 3, 1)

        def forward(self, frames):
            seen.append(tuple(frames.shape))
            return super().forward(frames)

    module = partial(
        StyleModule, generator=Generator, discriminator=None, optimizer=torch.optim.Adam, lr=0.1, loss_weights={}
    )
    task = StyleTask(
        "style", module, None, "val/likeness", "max", 2, FitLimits(4), guides={"position": PositionGuide()}
    )
    assert seconds_per_frame(task, disc_clip().clip, CONTEXT) > 0
    assert set(seen) == {(1, 3 + PositionGuide().channels, 32, 48)}
