"""Hand masks propagated along the flow: a disc is found in every frame, in any order, with hand masks on one side."""

import subprocess
import sys
from functools import partial

import cv2
import numpy as np
import pytest

from dreaming.clip.clip import Clip
from dreaming.errors import MaskError
from dreaming.flow.dis import DisFlow
from dreaming.flow.propagation import FlowPropagator, PropagatedFrame
from dreaming.maskers.flow import FlowMasker

DIS = DisFlow(scale=1.0)
Plain = partial(FlowMasker, DIS, edge_radius=0)


def jaccard(predicted, truth):
    return (predicted & truth).sum() / (predicted | truth).sum()


@pytest.fixture
def drawing(disc_clip):
    """The disc moves by 3 pixels a frame, its texture with it: noise that flickers would leave nothing to follow."""
    made = disc_clip(count=10, size=(64, 96), masks=(2, 6, 9), keyframes=())
    blocks = [np.kron(np.random.default_rng(seed).integers(0, 200, (24, 24, 3)), np.ones((4, 4, 1))) for seed in (0, 1)]
    background, coat = (cv2.GaussianBlur(block, (0, 0), 1.5) for block in blocks)
    for number, stem in enumerate(made.stems):
        rows, columns = np.mgrid[:64, :96]
        disc = (columns - 20 - 3 * number) ** 2 + (rows - 32) ** 2 <= 14**2
        moved = np.roll(coat[:64, :96] + np.array([55.0, 0, 0]), 3 * number, axis=1)
        made.truth[stem] = disc
        made.save(f"frames/{stem}.png", np.where(disc[..., None], moved, background[:64, :96]).astype(np.uint8))
        if number + 1 in (2, 6, 9):
            made.save(f"hand_masks/{stem}.png", disc)
    return made


def test_the_disc_is_found_in_every_frame(drawing):
    clip = drawing.clip
    references = clip.references("subject", clip.stems)
    masker = Plain().fit(clip, references)
    predicted = dict(masker.predict(clip, clip.stems))
    assert list(predicted) == clip.stems
    for stem, probability in predicted.items():
        assert probability.dtype == np.float32
        assert probability.shape == clip.size
        assert 0 <= probability.min() <= probability.max() <= 1
        assert jaccard(probability > 0.5, drawing.truth[stem]) > 0.85, stem
    for stem, mask in zip(references.stems, references.masks, strict=True):
        np.testing.assert_array_equal(predicted[stem], mask)


def test_order_choice_and_workers_change_nothing(drawing):
    clip = drawing.clip
    references = clip.references("subject", clip.stems)
    whole = dict(FlowMasker(DIS, workers=1).fit(clip, references).predict(clip, clip.stems))
    masker = FlowMasker(DIS, workers=3).fit(clip, references)
    for asked in (clip.stems[::-1], clip.stems[1::3], ["0004", "0001", "0005", "0010", "0004"]):
        predicted = list(masker.predict(clip, asked))
        assert [stem for stem, _ in predicted] == asked
        for stem, probability in predicted:
            np.testing.assert_array_equal(probability, whole[stem])


def test_one_hand_mask_is_propagated_to_both_ends(drawing):
    clip = drawing.clip
    masker = Plain().fit(clip, clip.references("subject", ["0006"]))
    for stem, probability in masker.predict(clip, clip.stems):
        copied = jaccard(drawing.truth["0006"], drawing.truth[stem])
        assert jaccard(probability > 0.5, drawing.truth[stem]) > min(0.6, copied + 0.1), stem


def test_the_side_that_agrees_with_the_frame_wins(drawing):
    """The mask on the right is of a frame that looks different, so the left one wins, although it is farther away."""
    drawing.save("frames/0006.png", np.full((64, 96, 3), 128, np.uint8))
    drawing.save("hand_masks/0006.png", np.indices((64, 96))[0] < 10)
    clip = Clip(drawing.path)
    masker = Plain().fit(clip, clip.references("subject", ["0002", "0006"]))
    ((_, predicted),) = masker.predict(clip, ["0005"])
    assert jaccard(predicted > 0.5, drawing.truth["0005"]) > 0.8
    trusting = Plain(error_scale=1e6, occlusion_weight=1.0).fit(clip, clip.references("subject", ["0002", "0006"]))
    ((_, blended),) = trusting.predict(clip, ["0005"])
    assert jaccard(blended > 0.5, drawing.truth["0005"]) < 0.6


def test_from_a_side_without_the_subject_nothing_comes_and_the_other_fades_where_it_is_gone(drawing):
    """The disc leaves at frame 8; an empty mask behind it says so, and takes nothing of what is seen before."""
    background = np.where(
        drawing.truth["0010"][..., None], drawing.clip.frames.read("0001"), drawing.clip.frames.read("0010")
    )
    for stem in ("0008", "0009", "0010"):
        drawing.save(f"frames/{stem}.png", background)
        drawing.truth[stem] = np.zeros((64, 96), bool)
    drawing.save("hand_masks/0009.png", drawing.truth["0009"])
    (drawing.path / "hand_masks/0006.png").unlink()
    clip = drawing.clip
    predicted = dict(Plain().fit(clip, clip.training_references("subject")).predict(clip, clip.stems))
    for stem in ("0003", "0005", "0007"):
        assert jaccard(predicted[stem] > 0.5, drawing.truth[stem]) > 0.8, stem
    for stem in ("0008", "0009", "0010"):
        assert (predicted[stem] > 0.5).mean() < 0.02, stem


def test_sides_are_weighed_by_error_occlusion_and_distance_in_time(drawing, monkeypatch):
    """Without motion the blend of two masks, one frame and three frames away, is known in closed form."""
    clip = drawing.clip
    occluded = np.arange(96) < 48
    still = np.zeros((64, 96, 2), np.float32)

    def propagate(propagator, path, mask=None):
        error, visible = (5.0, ~occluded) if path[0] == "0002" else (0.0, True)
        planes = [np.zeros((64, 96), np.float32) + np.float32(plane) for plane in (error, visible)]
        for steps, stem in enumerate(path[1:], start=1):
            yield PropagatedFrame(stem, clip.frames.read(stem), steps, still, *planes)

    monkeypatch.setattr(FlowPropagator, "propagate", propagate)
    masker = Plain(error_scale=10.0, occlusion_weight=0.2).fit(clip, clip.references("subject", ["0002", "0006"]))
    ((_, predicted),) = masker.predict(clip, ["0003"])
    left = np.where(occluded, 0.2, 1.0) * np.exp(-5 / 10) / 1
    expected = (left * drawing.truth["0002"] + 1 / 3 * drawing.truth["0006"]) / (left + 1 / 3)
    np.testing.assert_allclose(predicted, expected, atol=0.02)


def test_nothing_stays_but_the_flow(drawing):
    clip = drawing.clip
    before = {path.name for path in drawing.path.iterdir()}
    frames = Plain().fit(clip, clip.references("subject", clip.stems)).predict(clip, clip.stems)
    next(frames)
    frames.close()
    assert {path.name for path in drawing.path.iterdir()} - before == {"flow", ".locks", "shots.json"}


def test_hand_masks_of_other_frames_cause_a_warning_or_an_error(drawing, caplog):
    clip = drawing.clip
    references = clip.references("subject", clip.stems)
    (drawing.path / "frames/0009.png").unlink()
    clip = Clip(drawing.path)
    Plain().fit(clip, references)
    assert [(record.levelname, record.args) for record in caplog.records] == [("WARNING", (1,))]
    with pytest.raises(MaskError) as caught:
        Plain().fit(clip, references.select(["0009"]))
    assert caught.value.where == str(clip.path)


@pytest.mark.slow
def test_car_shadow_from_five_masks(shared, tmp_path):
    make = [sys.executable, shared / "make_clip.py", "car-shadow", tmp_path / "car"]
    subprocess.run(make, check=True, capture_output=True)
    clip = Clip(tmp_path / "car")
    masker = FlowMasker(DisFlow()).fit(clip, clip.references("subject", clip.stems))
    truth = {path.stem: path for path in (tmp_path / "car-truth/masks").glob("*.png")}
    scores = [
        jaccard(probability > 0.5, cv2.imread(str(truth[stem]), 0) > 127)
        for stem, probability in masker.predict(clip, clip.stems)
        if stem in truth
    ]
    assert len(scores) > 30
    assert np.mean(scores) > 0.95


def found_share(drawn):
    clip, truth = drawn
    masker = FlowMasker(DisFlow(), workers=1).fit(clip, clip.references("subject", clip.stems))
    found = {stem: mask > 0.5 for stem, mask in masker.predict(clip, clip.stems)}
    return np.mean([(found[stem] & truth[stem]).sum() / (found[stem] | truth[stem]).sum() for stem in clip.stems])


@pytest.mark.parametrize(("radius", "diameters"), [(3, 0), (3, 2.3), (12, 3)])
def test_a_small_or_fast_subject_is_found(ball, radius, diameters):
    assert found_share(ball(radius, 2 * radius * diameters, count=9, size=(90, 160), masks=3)) >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize("radius", [3, 6, 12, 40])
@pytest.mark.parametrize("diameters", [0, 0.5, 1, 2, 3])
def test_subjects_of_any_size_and_speed_are_found(ball, radius, diameters):
    assert found_share(ball(radius, 2 * radius * diameters)) >= 0.85


def test_flow_is_computed_on_the_way_to_the_first_masks_only(disc_clip):
    drawing = disc_clip(count=24, size=(16, 24), masks=(1, 10, 15, 24))
    clip = drawing.clip
    masker = FlowMasker(DisFlow()).fit(clip, clip.training_references("subject"))
    dict(masker.predict(clip, ["0012", "0013"]))
    assert {int(path.stem) for path in (drawing.path / "flow").glob("*.png")} == {10, 11, 12, 13, 14}
    dict(masker.predict(clip, clip.stems))
    assert len([*(drawing.path / "flow").glob("*.png")]) == 23


def predicted(clip):
    return dict(FlowMasker(DisFlow()).fit(clip, clip.references("subject", clip.stems)).predict(clip, clip.stems))


def test_hand_masks_are_not_propagated_across_cuts(cut_clip, alone):
    drawing = cut_clip(masks=(2, 5, 9))
    found = predicted(drawing.clip)
    for shot in (0, 1):
        for stem, probability in predicted(alone(drawing, shot)).items():
            np.testing.assert_array_equal(found[stem], probability, err_msg=stem)


def test_a_shot_without_a_hand_mask_shows_no_subject(cut_clip):
    found = predicted(cut_clip(masks=(2, 5)).clip)
    assert found["0006"].any()
    assert not any(found[f"{number:04d}"].any() for number in range(7, 13))


def test_a_changed_mask_leaves_the_other_shots_unchanged(cut_clip):
    shots = cut_clip().clip.shots
    same = FlowMasker(DisFlow()).unchanged(shots, {"0005": "a", "0009": "b"}, {"0005": "a", "0009": "c"})
    assert same == set(shots.stems[:6])
