"""The propagated guide: strokes of a rigidly moving texture arrive at the right place."""

import logging
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from dreaming.clip.clip import Clip
from dreaming.flow.dis import DisFlow
from dreaming.flow.keyframe_propagation import KeyframePropagator, PropagatedKeyframe
from dreaming.guides.propagated import PropagatedGuide
from dreaming.io.frame_folder import FrameFolder
from dreaming.metrics.similarity import ssim

GUIDE = PropagatedGuide(DisFlow(scale=1.0), flow_error=0.0, workers=1)
SIZE = 64, 96


def paint(image):
    """Other colours, and strokes that move with the texture without following from it."""
    return (255 - np.roll(image[..., [2, 0, 1]], 8, axis=0) // 2).astype(np.uint8)


@pytest.fixture
def drawing(disc_clip):
    """A texture that moves by 2 pixels a frame, keyframes as asked."""

    def draw(keyframes=(3, 8), count=9):
        made = disc_clip(name=f"moving-{count}", count=count, size=SIZE, masks=(), keyframes=())
        block = np.kron(np.random.default_rng(0).integers(0, 255, (30, 60, 3)), np.ones((4, 4, 1)))
        texture = cv2.GaussianBlur(block, (0, 0), 1.5)
        for number, stem in enumerate(made.stems):
            made.images[stem] = texture[: SIZE[0], 60 - 2 * number :][:, : SIZE[1]].astype(np.uint8)
            made.save(f"frames/{stem}.png", made.images[stem])
            if number + 1 in keyframes:
                made.save(f"keyframes/painted/{stem}.png", paint(made.images[stem]))
        return made

    return draw


def inner(picture):
    """Without the border, over which the texture comes in."""
    return picture[8:-8, 24:-24].astype(int)


def test_the_keyframe_arrives_in_every_frame(drawing):
    made = drawing()
    clip = made.clip
    (layer,) = clip.layers
    drawn = dict(GUIDE.draw(clip, layer, clip.stems))
    assert list(drawn) == clip.stems
    for stem, channels in drawn.items():
        assert channels.shape == (*SIZE, GUIDE.channels)
        assert channels.dtype == np.uint8
        assert np.abs(inner(channels[..., :3]) - inner(paint(made.images[stem]))).mean() < 4, stem
        assert inner(channels[..., 3]).mean() > 150, stem
    np.testing.assert_array_equal(drawn["0003"][..., :3], paint(made.images["0003"]))
    nearness = [round(inner(drawn[stem][..., 4]).mean()) for stem in ("0002", "0001", "0003")]
    assert nearness == [round(255 * 0.5**0.1), round(255 * 0.5**0.2), 255]
    assert not drawn["0001"][..., 5].any(), "with one side there is no agreement"
    assert inner(drawn["0005"][..., 5]).mean() > 230


def test_a_frame_depends_neither_on_the_others_nor_on_their_order(drawing):
    clip = drawing().clip
    (layer,) = clip.layers
    whole = dict(GUIDE.draw(clip, layer, clip.stems))
    for chosen in (["0006"], ["0007", "0005", "0001", "0003"], clip.stems[::-1]):
        for stem, channels in GUIDE.draw(clip, layer, chosen):
            np.testing.assert_array_equal(channels, whole[stem])


def flows(made):
    return [int(path.stem) for path in sorted((made.path / "flow").glob("*.png"))]


@pytest.mark.parametrize(
    ("keyframes", "asked", "expected_flows"),
    [
        ((4,), [2], [2, 3]),
        ((4,), [4], []),
        ((4,), [3, 6, 7], [3, 4, 5, 6]),
        ((3, 6), [4], [3, 4, 5]),
        ((3, 6), [5, 8], [3, 4, 5, 6, 7]),
        ((3, 6, 8), [1], [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_only_the_flow_on_the_paths_is_computed(drawing, caplog, keyframes, asked, expected_flows):
    made = drawing(keyframes=keyframes)
    stems = [f"{number:04d}" for number in asked]
    with caplog.at_level(logging.INFO):
        found = dict(GUIDE.draw(made.clip, made.clip.layers[0], stems))
    assert flows(made) == expected_flows
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert caplog.text.count("flow:") <= 2
    whole = dict(GUIDE.draw(made.clip, made.clip.layers[0], made.stems))
    for stem in stems:
        np.testing.assert_array_equal(found[stem], whole[stem])


def test_round_trips_compute_the_flow_up_to_their_turns(drawing, caplog):
    made = drawing(keyframes=(4,))
    near = replace(GUIDE, max_gap=1, round_trips=6)
    examples = list(near.training_examples(made.clip, made.clip.layers[0], ["0004"], seed=0))
    assert len(examples) == 6
    assert flows(made) == [3, 4], "one way and the other"
    assert not caplog.text, "no flow is missing"


def test_keyframes_are_propagated_to_each_other_once_for_training(drawing, monkeypatch):
    clip, propagated, original = drawing().clip, [], KeyframePropagator.propagate

    def counted(propagator, start, end, wanted):
        propagated.append((start, end))
        return original(propagator, start, end, wanted)

    monkeypatch.setattr(KeyframePropagator, "propagate", counted)
    assert len(list(GUIDE.training_examples(clip, clip.layers[0], ["0003", "0008"], seed=1))) == 6
    assert sorted(propagated) == [("0003", "0008"), ("0008", "0003")]


def test_training_examples_are_the_other_keyframes_and_round_trips(drawing):
    made = drawing()
    clip = made.clip
    (layer,) = clip.layers
    examples = list(GUIDE.training_examples(clip, layer, ["0003", "0008"], seed=1))
    assert [stem for stem, _ in examples] == ["0003"] * 3 + ["0008"] * 3
    for stem, channels in examples:
        assert np.abs(inner(channels[..., :3]) - inner(paint(made.images[stem]))).mean() < 6
        assert inner(channels[..., 4]).max() < 255, "a keyframe is shown as it is"
    np.testing.assert_array_equal(inner(examples[0][1][..., 4]), round(255 * 0.5**0.5))
    for again, (_, channels) in zip(
        GUIDE.training_examples(clip, layer, ["0003", "0008"], seed=1), examples, strict=True
    ):
        np.testing.assert_array_equal(again[1], channels)


def test_every_second_round_trip_is_combined_with_a_neighbour(drawing):
    clip = drawing().clip
    guide = replace(GUIDE, round_trips=4)
    agreement = [channels[..., 5].any() for _, channels in guide.training_examples(clip, clip.layers[0], ["0003"], 0)]
    assert agreement == [False, False, True, False, True], "the neighbour alone, then the round trips"


@pytest.mark.parametrize(("share", "propagated"), [(1, False), (0, True)])
def test_strokes_are_not_propagated_if_frames_predict_them_better(drawing, share, propagated):
    made = drawing()
    for seed, stem in enumerate(("0003", "0008")):
        strokes = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 150, (*SIZE, 1)), (0, 0), 1.5)
        painted = share * made.images[stem].astype(float) + (1 - share) * 128 + strokes[..., None]
        made.save(f"keyframes/painted/{stem}.png", np.clip(painted, 0, 255).astype(np.uint8))
    clip = made.clip
    (layer,) = clip.layers
    examples = list(GUIDE.training_examples(clip, layer, ["0003", "0008"], seed=1))
    drawn = list(GUIDE.draw(clip, layer, ["0004", "0003"]))
    assert list(dict.fromkeys(stem for stem, _ in examples)) == ["0003", "0008"]
    assert [stem for stem, _ in drawn] == ["0004", "0003"]
    assert [channels.any() for _, channels in examples + drawn] == [propagated] * len(examples + drawn)


def test_keyframes_of_different_shots_are_propagated_within_their_shots(drawing, caplog):
    made = drawing()
    noise = np.random.default_rng(1).integers(0, 255, (*SIZE, 3)).astype(np.float32)
    other = cv2.GaussianBlur(noise, (0, 0), 2.0)
    other = cv2.normalize(other, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    for stem in made.stems[5:]:
        made.save(f"frames/{stem}.png", other)
    made.save("keyframes/painted/0008.png", paint(other))
    clip = made.clip
    with caplog.at_level(logging.DEBUG, "dreaming.guides.propagated"):
        drawn = dict(GUIDE.draw(clip, clip.layers[0], ["0004", "0007"]))
    for stem, image in (("0004", made.images["0004"]), ("0007", other)):
        assert np.abs(inner(drawn[stem][..., :3]) - inner(paint(image))).mean() < 4
        assert inner(drawn[stem][..., 3]).mean() > 150
    assert [record.levelname for record in caplog.records if record.name == "dreaming.guides.propagated"] == ["DEBUG"]


def test_the_outline_of_the_painted_area_is_not_a_stroke(drawing):
    made = drawing()
    for seed, stem in enumerate(("0003", "0008")):
        strokes = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 100, (*SIZE, 1)), (0, 0), 1.5)
        painted = np.clip(made.images[stem] // 4 + 128 + strokes[..., None], 0, 255).astype(np.uint8)
        mask = np.zeros(SIZE, bool)
        mask[14:50, 28 + 2 * int(stem) : 64 + 2 * int(stem)] = True
        painted[~mask] = 0
        made.save(f"keyframes/painted/{stem}.png", painted)
        made.save(f"keyframes/painted/masks/{stem}.png", mask)
    clip = made.clip
    ((_, channels),) = GUIDE.draw(clip, clip.layers[0], ["0004"])
    assert not channels.any()


def test_the_view_of_the_others_does_not_depend_on_the_keyframe_itself(drawing):
    made = drawing()
    before = next(GUIDE.training_examples(made.clip, made.clip.layers[0], ["0003"], seed=1))[1]
    made.save("keyframes/painted/0003.png", paint(made.images["0003"]) // 2)
    after = next(GUIDE.training_examples(made.clip, made.clip.layers[0], ["0003"], seed=1))[1]
    np.testing.assert_array_equal(after, before)


def test_trust_is_zero_where_a_keyframe_is_not_painted(drawing):
    made = drawing(keyframes=(3,))
    whole = dict(GUIDE.draw(made.clip, made.clip.layers[0], ["0003", "0006"]))
    right = np.zeros(SIZE, bool)
    right[:, 48:] = True
    made.save("keyframes/painted/masks/0003.png", right)
    clip = made.clip
    drawn = dict(GUIDE.draw(clip, clip.layers[0], ["0003", "0006"]))
    np.testing.assert_array_equal(drawn["0003"][..., 3], np.where(right, 255, 0))
    arrived = np.roll(right, 6, axis=1)  # by 2 pixels a frame
    edge = np.abs(np.arange(SIZE[1]) - 54) < 3
    arrived[:, :6] = False
    np.testing.assert_array_equal(
        drawn["0006"][8:-8, ~edge, 3], np.where(arrived, whole["0006"][..., 3], 0)[8:-8, ~edge]
    )
    back = [channels[..., 3] for _, channels in GUIDE.training_examples(clip, clip.layers[0], ["0003"], seed=0)]
    assert all((confidence[8:-8, 24:45] == 0).all() and confidence[8:-8, 52:72].mean() > 150 for confidence in back)


def test_transparent_areas_are_filled_from_the_other_keyframe(drawing):
    made = drawing()
    painted = paint(made.images["0003"])
    painted[:, :48] = 0
    opacity = np.where(np.arange(SIZE[1]) < 48, 0, 255).astype(np.uint8)[None].repeat(SIZE[0], axis=0)
    path = made.path / "keyframes/painted/0003.png"
    assert cv2.imwrite(str(path), np.dstack([painted[..., ::-1], opacity]))
    clip = made.clip
    ((_, channels),) = GUIDE.draw(clip, clip.layers[0], ["0004"])
    for part in (np.s_[8:-8, 24:44], np.s_[8:-8, 56:72]):
        assert np.abs(channels[part][..., :3].astype(int) - paint(made.images["0004"])[part]).mean() < 4
        assert channels[part][..., 3].mean() > 150


def test_a_single_keyframe_has_round_trips_and_a_single_frame_itself(drawing):
    clip = drawing(keyframes=(4,)).clip
    assert len(list(GUIDE.training_examples(clip, clip.layers[0], ["0004"], seed=0))) == GUIDE.round_trips
    clip = drawing(keyframes=(1,), count=1).clip
    ((_, channels),) = GUIDE.training_examples(clip, clip.layers[0], ["0001"], seed=0)
    assert (channels[..., 3:5] == 255).all()


def test_unpainted_parts_of_a_keyframe_are_not_compared(drawing):
    made = drawing()
    for stem in ("0003", "0008"):
        keyframe = made.images[stem].copy()
        keyframe[20:50, 30:70] = paint(made.images[stem])[20:50, 30:70]
        made.save(f"keyframes/painted/{stem}.png", keyframe)
    clip = made.clip
    ((_, channels),) = GUIDE.draw(clip, clip.layers[0], ["0005"])
    assert channels.any()


def test_round_trips_with_flow_errors_are_trusted_where_they_are_right(drawing):
    made = drawing(keyframes=(4,))
    clip = made.clip
    displaced = replace(GUIDE, flow_error=0.1, round_trips=8)
    examples = [channels for _, channels in displaced.training_examples(clip, clip.layers[0], ["0004"], seed=0)]
    off = np.stack(
        [np.abs(inner(channels[..., :3]) - inner(paint(made.images["0004"]))).mean(2) for channels in examples]
    )
    confidence = np.stack([inner(channels[..., 3]) for channels in examples])
    assert (confidence > 200).mean() > 0.1
    assert (confidence < 50).mean() > 0.1
    assert off[confidence < 50].mean() > 4 * off[confidence > 200].mean()


def test_each_pixel_comes_from_the_side_with_the_greater_weight():
    black, white = (np.full((*SIZE, 3), value, np.uint8) for value in (0, 255))
    sure, unsure = (np.full(SIZE, value, np.uint8) for value in (0, 40))
    one, other = PropagatedKeyframe(black, sure.copy(), 4), PropagatedKeyframe(white, unsure, 1)
    one.cost[:, 48:] = 200
    blended = GUIDE._blend([one, other], SIZE)
    assert (blended[:, :40, :3] < 5).all()
    assert (blended[:, 56:, :3] > 250).all()
    assert (blended[:, :40, 3] > 250).all()
    assert (blended[:, 56:, 3] == round(255 * np.exp(-4))).all()
    assert (blended[:, 56:, 4] == round(255 * 0.5**0.1)).all()
    assert not blended[..., 5].any(), "the sides disagree"


@pytest.mark.slow
def test_a_hand_painted_keyframe_resembles_the_painted_frame(shared, tmp_path):
    style = shared / "data/style"
    shutil.copytree(style / "frames", tmp_path / "frames")
    painted = tmp_path / "keyframes/painted"
    painted.mkdir(parents=True)
    for keyframe in (style / "stylised").iterdir():
        shutil.copy(keyframe, painted)
    clip = Clip(tmp_path)
    ((_, channels),) = PropagatedGuide(DisFlow(), workers=1).draw(clip, clip.layers[0], ["002"])
    found, truth = channels[..., :3], FrameFolder(style / "check").read("002")
    pair = (torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255 for image in (found, truth))
    assert float(ssim(*pair)) > 0.902  # 0.899 with a larger min_improvement


def test_no_keyframe_is_propagated_across_a_cut(cut_clip, alone):
    drawing = cut_clip(keyframes=(2, 5))
    clip, first = drawing.clip, alone(drawing, 0)
    (layer,) = clip.layers
    guide = replace(GUIDE, min_transfer_ratio=0.0)
    found = dict(guide.draw(clip, layer, clip.stems))
    for stem, channels in guide.draw(first, layer, first.stems):
        np.testing.assert_array_equal(found[stem], channels)
        assert channels.any()
    assert not any(found[stem].any() for stem in clip.stems[6:])
    examples, expected = (list(guide.training_examples(c, layer, ["0002", "0005"], 1)) for c in (clip, first))
    assert len(examples) == len(expected) == 6
    for one, other in zip(examples, expected, strict=True):
        np.testing.assert_array_equal(one[1], other[1])
