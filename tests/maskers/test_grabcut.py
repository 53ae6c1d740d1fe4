"""GrabCut on another masker's outline: refined within the band, unchanged elsewhere."""

from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np
import pytest

from dreaming.artifacts.fingerprint import describe
from dreaming.maskers.base import FrameMasker
from dreaming.maskers.grabcut import GrabCutMasker


@dataclass
class TooLargeMasker(FrameMasker):
    """What is red, grown by some pixels."""

    grown: int = 3

    def fit(self, clip, references) -> Self:
        self.fitted_on = references.stems
        return self

    def fitted_fingerprint(self, clip, references):
        return "weights"

    def training_stems(self, split):
        return frozenset(split.ensemble_train)

    def prepare(self, clip, stems):
        self.prepared = list(stems)
        return self

    def predict_frame(self, image):
        red = (image[..., 0] > 115).astype(np.uint8)
        return cv2.dilate(red, np.ones((2 * self.grown + 1,) * 2, np.uint8)).astype(np.float32)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_wrong_outline_is_refined_and_the_seed_fitted_on_the_same_masks(disc_clip, scale):
    drawing = disc_clip(size=(96, 144), masks=(1, 4, 8))
    clip = drawing.clip
    references = clip.references("subject", ["0001", "0004"])
    masker = GrabCutMasker(TooLargeMasker(), inner=0.05, outer=0.05, scale=scale)
    assert masker.fitted_fingerprint(clip, references) == "weights"
    predicted = dict(masker.fit(clip, references).predict(clip, clip.stems))
    assert masker.seed.fitted_on == ("0001", "0004")
    assert list(predicted) == clip.stems
    for stem, probability in predicted.items():
        truth = drawing.truth[stem]
        overlap = ((probability > 0.5) & truth).sum() / ((probability > 0.5) | truth).sum()
        assert overlap > (0.98 if scale == 1 else 0.93), stem


def test_training_stems_and_preparation_are_those_of_the_seed(disc_clip):
    drawing = disc_clip(masks=(1, 4, 8))
    split = replace(drawing.clip.split("subject"), ensemble_train=("0004",))
    masker = GrabCutMasker(TooLargeMasker())
    assert masker.training_stems(split) == {"0004"}
    masker.prepare(drawing.clip, ["0002", "0003"])
    assert masker.seed.prepared == ["0002", "0003"]


def test_nothing_moves_outside_the_band():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 80, 3), np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[15:45, 20:60] = True
    predicted = GrabCutMasker(TooLargeMasker(), inner=0.058, outer=0.029, holes=None).refine(image, mask)
    assert predicted[19:41, 24:56].all()
    outside = np.ones_like(mask)
    outside[13:47, 18:62] = False
    assert not predicted[outside].any()
    assert (predicted != mask).any()


@pytest.mark.parametrize(("share", "small", "large"), [(0, {0}, {0}), (0.001, {1}, {0, 1}), (0.05, {3}, range(9, 15))])
def test_the_band_grows_with_the_frame(share, small, large):
    mask = np.zeros((60, 80), bool)
    mask[15:45, 20:60] = True
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)

    def moved(times):
        """How far from the outline the mask changes, in pixels."""
        grown = mask.repeat(times, axis=0).repeat(times, axis=1)
        image = noise.repeat(times, axis=0).repeat(times, axis=1)
        found = GrabCutMasker(TooLargeMasker(), inner=share, outer=share, holes=None).refine(image, grown)
        inside, outside = (cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_C, 3) for part in (grown, ~grown))
        return np.max((inside + outside)[found != grown], initial=0)

    assert moved(1) in small
    assert moved(4) in large


@pytest.mark.parametrize(("holes", "filled"), [(None, False), (0.004, False), (0.02, True)])
def test_holes_are_filled_up_to_their_largest_size(holes, filled):
    """A hole of 36 of 4800 pixels, 0.0075 of the frame, which the cut finds as it is."""
    mask = np.zeros((60, 80), bool)
    mask[10:50, 15:65] = True
    mask[27:33, 37:43] = False
    noise = np.random.default_rng(0).integers(-9, 10, (60, 80, 3))
    image = (np.where(mask[..., None], (200, 40, 30), (30, 60, 160)) + noise).astype(np.uint8)
    predicted = GrabCutMasker(TooLargeMasker(), holes=holes).refine(image, mask)
    assert predicted[27:33, 37:43].all() == filled
    assert predicted[27:33, 37:43].any() == filled


@pytest.mark.parametrize("value", [True, False])
def test_a_frame_without_an_outline_is_left_alone(value):
    mask = np.full((20, 30), value)
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_array_equal(GrabCutMasker(TooLargeMasker()).refine(image, mask), mask)


def test_masks_depend_neither_on_workers_nor_on_other_frames(disc_clip):
    clip = disc_clip().clip
    references = clip.references("subject", clip.stems)
    one = dict(GrabCutMasker(TooLargeMasker(), workers=1).fit(clip, references).predict(clip, clip.stems))
    three = dict(GrabCutMasker(TooLargeMasker(), workers=3).fit(clip, references).predict(clip, clip.stems[::-1]))
    for stem in clip.stems:
        np.testing.assert_array_equal(one[stem], three[stem])


def test_the_seed_tells_maskers_apart():
    assert describe(GrabCutMasker(TooLargeMasker(1))) != describe(GrabCutMasker(TooLargeMasker(2)))
