"""The pixel classifier on a drawn clip: better than propagation alone, in any order, from one hand mask on."""

from dataclasses import replace

import numpy as np
import pytest

from dreaming.clip.clip import Clip
from dreaming.demo.scene import DemoScene
from dreaming.errors import MaskError
from dreaming.features.extractor import PropagationFeatures
from dreaming.flow.dis import DisFlow
from dreaming.io.frame_folder import FrameFolder
from dreaming.maskers.auto_context import Boosting
from dreaming.maskers.flow import FlowMasker
from dreaming.maskers.pixels import PixelsMasker, _spread

FLOW = DisFlow(scale=1.0)
FEATURES = PropagationFeatures(FLOW, short_side=None, round_trips=2)
SMALL = {"boosting": Boosting(max_iter=20, min_samples_leaf=50), "samples": 1000, "edge_radius": 0, "workers": 1}
TINY = SMALL | {"boosting": Boosting(max_iter=3, min_samples_leaf=50)}


def jaccard(predicted, truth):
    return (predicted & truth).sum() / (predicted | truth).sum()


@pytest.fixture
def clip(disc_clip):
    return disc_clip(count=9, size=(48, 72), masks=(1, 5, 9)).clip


@pytest.fixture
def dancer(tmp_path):
    """The demo's dancer, whose limbs turn and hide one another: a clip, and where she is in truth."""
    scene, folder, truth = DemoScene(frames=25, height=96, width=160, samples=2), tmp_path / "dancer", {}
    frames, masks = FrameFolder(folder / "frames"), FrameFolder(folder / "hand_masks")
    for index in range(scene.frames):
        stem = f"{index + 1:04d}"
        image, truth[stem] = scene.frame(index)
        frames.write(stem, image)
        if index in (0, 12, 24):
            masks.write(stem, truth[stem].astype(np.uint8) * 255)
    return Clip(folder), truth


@pytest.mark.parametrize(
    ("count", "chosen"), [(0, ""), (1, "a"), (2, "ae"), (3, "ace"), (5, "abcde"), (10**12, "abcde")]
)
def test_frames_to_train_on_are_spread_over_all(count, chosen):
    assert "".join(_spread(list("abcde"), count)) == chosen
    assert _spread([], count) == []


@pytest.mark.slow
def test_the_dancer_is_found_better_than_by_propagation_alone_and_better_by_the_second_classifier(dancer):
    clip, truth = dancer
    references = clip.references("subject", clip.stems)
    stems = [stem for stem in clip.stems if stem not in references.stems]
    masker = PixelsMasker(FEATURES, **SMALL).fit(clip, references)
    first, second = {stem: masker._view(stem)[1] for stem in stems}, dict(masker.predict(clip, stems))
    propagated = dict(FlowMasker(FLOW, workers=1).fit(clip, references).predict(clip, stems))
    scores = [
        np.mean([jaccard(predicted[stem] > 0.5, truth[stem]) for stem in stems])
        for predicted in (propagated, first, second)
    ]
    assert scores[2] > scores[0] + 0.01, scores
    assert scores[2] > scores[1] + 0.003, scores


@pytest.mark.slow
def test_frames_come_as_asked_and_hand_masks_stay(clip, references):
    masker = PixelsMasker(FEATURES, **SMALL).fit(clip, references)
    whole = dict(masker.predict(clip, clip.stems))
    assert list(whole) == clip.stems
    for probability in whole.values():
        assert probability.dtype == np.float32
        assert probability.shape == clip.size
        assert 0 <= probability.min() <= probability.max() <= 1
    for stem, mask in zip(references.stems, references.masks, strict=True):
        np.testing.assert_array_equal(whole[stem], mask)
    again = PixelsMasker(FEATURES, **SMALL | {"workers": 3}).fit(clip, references)
    for asked in (clip.stems[::-1], ["0007", "0002"]):
        predicted = list(again.predict(clip, asked))
        assert [stem for stem, _ in predicted] == asked
        for stem, probability in predicted:
            np.testing.assert_allclose(probability, whole[stem], atol=2 / 255)


def test_a_second_fit_uses_the_new_hand_masks_only(clip, references):
    fewer = references.without(["0005"])
    masker = PixelsMasker(FEATURES, **TINY)
    masker.fit(clip, references)
    masker.fit(clip, fewer)
    fresh = PixelsMasker(FEATURES, **TINY).fit(Clip(clip.path), fewer)
    for (stem, one), (_, other) in zip(*(m.predict(clip, ["0004", "0005"]) for m in (masker, fresh)), strict=True):
        np.testing.assert_allclose(one, other, atol=2 / 255, err_msg=stem)


def test_one_hand_mask_is_trained_on_by_round_trips(clip, references):
    masker = PixelsMasker(FEATURES, **SMALL).fit(clip, references.select(["0005"]))
    predicted = dict(masker.predict(clip, clip.stems))
    assert len(predicted) == 9
    assert jaccard(predicted["0006"] > 0.5, predicted["0006"] > 0.1) > 0.5


def test_at_most_so_many_hand_masked_frames_are_trained_on(clip, references):
    masker = PixelsMasker(FEATURES, **TINY | {"frames": 2}).fit(clip, references)
    assert len(dict(masker.predict(clip, clip.stems))) == 9


@pytest.mark.slow
def test_every_fold_leaves_frames_that_show_the_subject(clip, disc_clip):
    drawing = disc_clip("left", count=9, size=(48, 72), masks=(1, 2, 3))
    for number in (4, 5, 6, 7, 9):
        drawing.save(f"hand_masks/{number:04d}.png", np.zeros((48, 72), bool))
    clip = drawing.clip
    every = clip.training_references("subject")
    for references, frames, most in (
        (every, 12, 8),
        (every.without(["0002", "0003"]), 12, 6),
        (every, 3, 3),
        (every.without(["0001", "0003"]), 2, 2),
    ):
        masker = PixelsMasker(FEATURES, **TINY | {"frames": frames}).fit(clip, references)
        trained = masker._training_frames(masker._extractor)
        stems = {frame.simulation.stem for frame in trained}
        assert len(stems) <= most
        assert stems & set(references.present)
        for fold in {frame.fold for frame in trained}:
            assert any(frame.labels.any() for frame in trained if frame.fold != fold), (frames, fold)
        assert not dict(masker.predict(clip, ["0009"]))["0009"].any()


def test_a_single_mask_without_round_trips_is_refused(clip, references):
    with pytest.raises(MaskError) as caught:
        PixelsMasker(replace(FEATURES, round_trips=0), **TINY).fit(clip, references.select(["0005"]))
    assert caught.value.where == str(clip.path)


def found_share(drawn):
    clip, truth = drawn
    boosting = Boosting(max_iter=40, min_samples_leaf=50)
    masker = PixelsMasker(PropagationFeatures(DisFlow(), round_trips=1), boosting=boosting, samples=1000, workers=1)
    found = dict(masker.fit(clip, clip.references("subject", clip.stems)).predict(clip, clip.stems))
    return np.mean([jaccard(found[stem] > 0.5, truth[stem]) for stem in clip.stems])


@pytest.mark.parametrize(("radius", "diameters"), [(3, 0), pytest.param(3, 2.3, marks=pytest.mark.slow)])
def test_a_small_or_fast_subject_is_found(ball, radius, diameters):
    assert found_share(ball(radius, 2 * radius * diameters, count=9, size=(90, 160), masks=3)) >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize(("radius", "diameters"), [(3, 0.5), (6, 3), (12, 3), (40, 0.5)])
def test_subjects_of_any_size_and_speed_are_found(ball, radius, diameters):
    assert found_share(ball(radius, 2 * radius * diameters)) >= 0.85
