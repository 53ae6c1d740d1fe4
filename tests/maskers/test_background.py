"""Background subtraction in both directions: still and panning cameras, a subject at rest, and the blend."""

import logging

import cv2
import numpy as np
import pytest

from dreaming.artifacts.fingerprint import describe
from dreaming.clip.annotations import References
from dreaming.clip.clip import Clip
from dreaming.imaging.morphology import Cleaning
from dreaming.maskers.background import BackgroundMasker

SIZE, COUNT, RED = (72, 96), 13, (220, 40, 30)


@pytest.fixture
def scene(tmp_path):
    """A red square that walks over a landscape, rests or not, before a camera that pans by some pixels a frame.

    From the frame ``gone`` on it is not there.
    """

    def draw(pan=0, walk=4, gone=COUNT):
        rough = np.random.default_rng(3).integers(40, 200, (30, 60, 3), np.uint8)
        landscape = cv2.GaussianBlur(cv2.resize(rough, (240, 120), interpolation=cv2.INTER_CUBIC), (0, 0), 1)
        truth = {}
        (tmp_path / "frames").mkdir(exist_ok=True)
        for number in range(COUNT):
            left, x = 20 + pan * number, 15 + walk * number
            image = landscape[10 : 10 + SIZE[0], left : left + SIZE[1]].copy()
            mask = np.zeros(SIZE, bool)
            mask[25:50, x : x + 20] = number < gone
            image[mask] = RED
            cv2.imwrite(str(tmp_path / f"frames/{number:04d}.png"), image[..., ::-1])
            truth[f"{number:04d}"] = mask
        return Clip(tmp_path), truth

    return draw


def references(clip, truth, stems):
    return References(tuple(stems), np.stack([clip.frames.read(s) for s in stems]), np.stack([truth[s] for s in stems]))


def overlap(predicted, truth):
    return ((predicted > 0.5) & truth).sum() / ((predicted > 0.5) | truth).sum()


def masker(**changes):
    return BackgroundMasker(
        **{"blur": 0.0, "learning_rate": 0.01, "erosion": 4, "cleaning": Cleaning(closing=5), **changes}
    )


@pytest.mark.parametrize(
    ("pan", "walk", "changes", "least"),
    [
        (0, 4, {"stabilise": "none"}, 0.9),
        (0, 0, {"stabilise": "none"}, 0.9),  # a subject that rests stays foreground
        (0, 4, {"stabilise": "none", "subtractor": "knn", "threshold": 900.0}, 0.9),
        (3, 1, {"stabilise": "affine"}, 0.85),
        (3, 1, {"stabilise": "homography"}, 0.85),
    ],
)
def test_the_square_is_found(scene, pan, walk, changes, least):
    clip, truth = scene(pan, walk)
    marked = ("0000", "0012")
    predicted = dict(masker(**changes).fit(clip, references(clip, truth, marked)).predict(clip, clip.stems))
    assert list(predicted) == clip.stems
    for stem, probability in predicted.items():
        assert probability.dtype == np.float32
        assert probability.shape == SIZE
        assert overlap(probability, truth[stem]) >= (1 if stem in marked else least), stem


def test_before_the_first_mask_and_after_the_last_there_is_one_direction_only(scene):
    clip, truth = scene(walk=0)
    predicted = dict(
        masker(stabilise="none").fit(clip, references(clip, truth, ["0004", "0008"])).predict(clip, clip.stems)
    )
    assert list(predicted) == clip.stems
    for stem in ("0000", "0003", "0009", "0012"):
        assert set(np.unique(predicted[stem])) == {0, 1}
        assert overlap(predicted[stem], truth[stem]) > 0.9


def test_a_panning_camera_fools_the_plain_method(scene):
    clip, truth = scene(pan=3, walk=1)
    plain = dict(
        masker(stabilise="none").fit(clip, references(clip, truth, ["0000", "0012"])).predict(clip, clip.stems)
    )
    assert overlap(plain["0006"], truth["0006"]) < 0.5


@pytest.mark.parametrize(("smallest", "kept"), [(0.06, True), (0.08, False)])
def test_the_smallest_blob_is_a_share_of_the_frame_before_a_moving_camera_too(scene, smallest, kept):
    """The square is 0.072 of a frame, and 0.053 of the picture that all of them are laid into; hand masks are 0.16."""
    clip, truth = scene(pan=3, walk=1)
    wide = {stem: cv2.dilate(mask.view(np.uint8), np.ones((11, 13))).view(bool) for stem, mask in truth.items()}
    fitted = masker(stabilise="affine", cleaning=Cleaning(closing=5, smallest=smallest))
    predicted = dict(fitted.fit(clip, references(clip, wide, ["0000", "0012"])).predict(clip, ["0003", "0006", "0009"]))
    for stem, probability in predicted.items():
        assert probability.any() == kept, stem
        assert not kept or overlap(probability, truth[stem]) > 0.85, stem


def test_a_subject_smaller_than_the_smallest_blob_is_found(scene, caplog):
    clip, truth = scene()
    small = masker(stabilise="none", cleaning=Cleaning(closing=5, smallest=0.2))
    described = describe(small)
    with caplog.at_level(logging.DEBUG, "dreaming.maskers"):
        fitted = small.fit(clip, references(clip, truth, ["0000", "0012"]))
    assert caplog.records[0].args == (0.2, pytest.approx(0.036, abs=5e-4))
    assert describe(fitted) == described
    for stem, probability in fitted.predict(clip, ["0003", "0006", "0009"]):
        assert overlap(probability, truth[stem]) > 0.9, stem
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "dreaming.maskers"):
        masker(cleaning=Cleaning(smallest=0.03)).fit(clip, references(clip, truth, ["0000"]))
        masker(cleaning=Cleaning(smallest=None)).fit(clip, references(clip, truth, ["0000"]))
    assert not caplog.text


@pytest.mark.parametrize(("pan", "stabilise"), [(0, "none"), (3, "homography")])
def test_a_subject_that_is_not_there_at_the_other_end_is_followed_to_where_it_leaves(scene, caplog, pan, stabilise):
    clip, truth = scene(pan=pan, walk=4 - pan, gone=8)
    small = masker(stabilise=stabilise, cleaning=Cleaning(closing=5, smallest=0.2))
    with caplog.at_level(logging.DEBUG, "dreaming.maskers"):
        small.fit(clip, references(clip, truth, ["0000", "0008", "0012"]))
    assert caplog.records[0].args == (0.2, pytest.approx(0.036, abs=5e-4)), "the empty mask does not count"
    predicted = dict(small.predict(clip, clip.stems))
    for stem in ("0002", "0005"):
        assert overlap(predicted[stem], truth[stem]) > 0.85, stem
    for stem in ("0008", "0010", "0011"):
        assert not predicted[stem].any(), stem


def test_both_directions_are_blended_by_distance_in_time(scene):
    clip, truth = scene()
    stems = ["0000", "0012"]
    both = dict(
        masker(stabilise="none", plate=False).fit(clip, references(clip, truth, stems)).predict(clip, clip.stems)
    )
    for index in range(1, 12):
        values = set(np.unique(both[f"{index:04d}"]))
        expected = {0, np.float32(index / 12), 1 - np.float32(index / 12), 1}
        assert all(min(abs(value - one) for one in expected) < 1e-6 for value in values)
    # Without a plate what the square hides at the start is unknown there, and known from the other side.
    assert both["0003"][30, 18] == np.float32(1 - 3 / 12)


def test_a_frame_s_mask_is_the_same_whatever_else_is_asked(scene):
    clip, truth = scene()
    fitted = masker(stabilise="none").fit(clip, references(clip, truth, ["0002", "0009"]))
    whole = dict(fitted.predict(clip, clip.stems))
    few = dict(fitted.predict(clip, ["0011", "0005", "0001"]))
    assert list(few) == ["0011", "0005", "0001"]
    for stem, probability in few.items():
        np.testing.assert_array_equal(probability, whole[stem])


@pytest.mark.parametrize(("rate", "forgets"), [(None, False), (1.0, True)])
def test_a_new_object_becomes_background_sooner_at_a_higher_rate(scene, rate, forgets):
    clip, truth = scene(walk=0)
    block = (slice(5, 17), slice(70, 90))
    for stem in ("0010", "0011", "0012"):
        path = str(clip.frames.files[stem])
        image = cv2.imread(path)
        image[block] = (40, 220, 30)
        cv2.imwrite(path, image)
    changes = {"stabilise": "none", "learning_rate": rate, "erosion": 0}
    fitted = masker(**changes).fit(clip, references(clip, truth, ["0000"]))
    predicted = dict(fitted.predict(clip, ["0009", "0010", "0011"]))
    assert not predicted["0009"][block].any()
    assert predicted["0010"][block].mean() > 0.9
    assert predicted["0011"][block].mean() == pytest.approx(0 if forgets else 1, abs=0.1)


def test_masks_in_backsub_are_used_unless_results_are_scored_on_them(scene):
    clip, truth = scene(walk=4)
    wrong = np.zeros(SIZE, bool)
    wrong[60:70, 2:12] = True
    masks = {
        "nn/train_output": {"0000": truth["0000"], "0012": truth["0012"]},
        "nn/test_output": {"0003": wrong},
        "ensemble/train_output": {"0009": wrong},
        "backsub": {"0000": truth["0000"], "0003": wrong, "0006": wrong, "0009": wrong},
    }
    plain = masker(stabilise="none")
    for folder, named in masks.items():
        for stem, mask in named.items():
            (clip.path / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(clip.path / folder / f"{stem}.png"), mask.astype(np.uint8) * 255)
    given, split = clip.references("subject", ["0000", "0012"]), clip.split("subject")
    assert plain.training_stems(split) == {"0000", "0006", "0012"}
    predicted = dict(plain.fit(clip, given).predict(clip, clip.stems))
    np.testing.assert_array_equal(predicted["0006"], wrong)
    for stem in ("0003", "0009"):
        assert not predicted[stem][wrong].all(), stem
    left_out = dict(plain.fit_without(clip, given, given.select(["0012"])).predict(clip, ["0006", "0012"]))
    np.testing.assert_array_equal(left_out["0006"], wrong)
    assert (left_out["0012"] != truth["0012"]).any()
    before = plain.fitted_fingerprint(clip, given)
    cv2.imwrite(str(clip.path / "backsub" / "0006.png"), truth["0006"].astype(np.uint8) * 255)
    assert plain.fitted_fingerprint(clip, given) != before
    (clip.path / "backsub" / "0006.png").unlink()
    assert plain.fitted_fingerprint(clip, given) == ""


def followed(clip):
    fitted = BackgroundMasker(workers=1).fit(clip, clip.references("subject", clip.stems))
    return dict(fitted.predict(clip, clip.stems[1:-1]))


@pytest.mark.parametrize("radius", [6, 20])
def test_a_subject_that_stands_still_is_kept(ball, radius):
    clip, truth = ball(radius, 4, count=62, size=(90, 160), masks=2, rest=range(6, 56))
    predicted = followed(clip)
    assert min(overlap(predicted[stem], truth[stem]) for stem in clip.stems[8:54]) >= 0.6
    assert np.mean([overlap(mask, truth[stem]) for stem, mask in predicted.items()]) >= 0.7


@pytest.mark.parametrize("gain", [0.7, 1.35])
def test_a_jump_in_exposure_does_not_matter(ball, gain):
    clip, truth = ball(16, 5, count=14, size=(90, 160), masks=2, gain=gain, jump=5)
    predicted = followed(clip)
    assert np.mean([overlap(mask, truth[stem]) for stem, mask in predicted.items()]) >= 0.7


def test_a_ball_smaller_than_every_window_is_found(ball):
    clip, truth = ball(3, 10, count=10, size=(90, 160), masks=3)
    predicted = followed(clip)
    assert np.mean([overlap(mask, truth[stem]) for stem, mask in predicted.items()]) >= 0.7


def test_the_background_of_another_shot_is_not_used(cut_clip, alone):
    drawing = cut_clip(masks=(2, 5, 9))
    for stabilise in ("none", "homography"):
        masker = BackgroundMasker(stabilise=stabilise)
        clip, shot = drawing.clip, alone(drawing, 1)
        found = dict(masker.fit(clip, clip.references("subject", clip.stems)).predict(clip, shot.stems))
        expected = dict(masker.fit(shot, shot.references("subject", shot.stems)).predict(shot, shot.stems))
        for stem in shot.stems:
            np.testing.assert_array_equal(found[stem], expected[stem], err_msg=stem)
