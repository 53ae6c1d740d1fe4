"""The base classes, with the smallest masker as an example, and the ranges of all maskers' parameters."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pytest
from omegaconf import OmegaConf

from dreaming.artifacts.fingerprint import describe
from dreaming.errors import ConfigError
from dreaming.instantiation.build import build
from dreaming.maskers.base import FrameMasker


@dataclass
class RedMasker(FrameMasker):
    """Whatever is redder than the hand-masked subject's mean, less a margin."""

    margin: float = 40.0

    def fit(self, clip, references) -> Self:
        self._red = references.images[references.masks][:, 0].mean()
        return self

    def predict_frame(self, image):
        return (image[..., 0] > self._red - self.margin).astype(np.float32)


def test_frames_come_in_order_whatever_the_number_of_workers(disc_clip):
    clip = disc_clip().clip
    references = clip.references("subject", clip.stems)
    predicted = {
        workers: list(RedMasker(workers=workers).fit(clip, references).predict(clip, clip.stems[::-1]))
        for workers in (1, 3)
    }
    assert [stem for stem, _ in predicted[3]] == clip.stems[::-1]
    for (_, one), (_, three) in zip(predicted[1], predicted[3], strict=True):
        assert one.shape == clip.size
        assert np.array_equal(one, three)


def test_only_what_changes_the_result_tells_maskers_apart():
    assert describe(RedMasker(workers=1)) == describe(RedMasker(workers=8))
    assert describe(RedMasker(margin=1)) != describe(RedMasker(margin=2))


FLOW = {"_target_": "dreaming.flow.dis.DisFlow"}
FEATURES = {"_target_": "dreaming.features.extractor.PropagationFeatures", "flow": FLOW}
THRESHOLD = {"_target_": "dreaming.maskers.threshold.ThresholdMasker"}
OUT_OF_RANGE = {
    "flow.FlowMasker": ({"flow": FLOW}, {"error_scale": 0, "occlusion_weight": 0, "edge_radius": -1, "workers": 0}),
    "pixels.PixelsMasker": (
        {"features": FEATURES},
        {"samples": 0, "outline_share": 1.1, "outline_radius": 0, "frames": 0, "edge_radius": -1, "workers": 0},
    ),
    "auto_context.Boosting": (
        {},
        {"max_iter": 0, "learning_rate": 0, "max_leaf_nodes": 1, "min_samples_leaf": 0, "max_features": 1.1},
    ),
    "gmm.GmmMasker": (
        {},
        {"samples": 0, "recall": -0.1, "precision": 1.1, "prior": 1.0, "reg_covar": 0, "components": 0, "mode": "x"},
    ),
    "grabcut.GrabCutMasker": (
        {"seed": THRESHOLD},
        {"scale": 1.5, "iterations": 0, "inner": -1, "outer": -1, "holes": 2, "workers": 0},
    ),
    "background.BackgroundMasker": (
        {},
        {"threshold": 0, "history": 0, "learning_rate": 0, "erosion": -1, "blur": -1, "stabilise": "x"},
    ),
    "threshold.ThresholdMasker": ({}, {"bins": 60, "space": "rgb"}),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_values_out_of_range_are_refused_by_their_key(name):
    needed, wrong = OUT_OF_RANGE[name]
    node = {"_target_": f"dreaming.maskers.{name}", **needed}
    build(OmegaConf.create({"it": node}), "it")
    for key, value in wrong.items():
        with pytest.raises(ConfigError) as caught:
            build(OmegaConf.create({"it": {**node, key: value}}), "it")
        assert caught.value.where == f"it.{key}"
