"""Pairs of unpainted frames: patches that follow their content, and which frames are read."""

import numpy as np
import pytest
import torch

from dreaming.clip.annotations import Keyframes
from dreaming.data.frame_pairs import Consistency, FlickerProbe, FramePair, PairSource, read_pairs, spread
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.flow.dis import DisFlow
from dreaming.losses.style import temporal_loss

SIZE = (40, 60)


def moved(step):
    """A random scene, and the same scene (x, y) pixels further right and down; with flow and visibility."""
    rng = np.random.default_rng(1)
    x, y = step
    scene = rng.integers(0, 256, (SIZE[0] + 20, SIZE[1] + 20, 4)).astype(np.uint8)
    before = scene[10 : 10 + SIZE[0], 10 : 10 + SIZE[1]]
    after = scene[10 - y : 10 - y + SIZE[0], 10 - x : 10 - x + SIZE[1]]
    backward = np.full((*SIZE, 2), (-x, -y), np.float32)
    return FramePair(before.copy(), after.copy(), backward, np.ones(SIZE, bool))


@pytest.mark.parametrize("step", [(0, 0), (3, -2), (-7, 5)])
@pytest.mark.parametrize("corner", [(0, 0), (12, 20), (24, 44)])
def test_patches_follow_their_content(step, corner):
    sample = moved(step).patch(*corner, 16)
    assert sample["before"].shape == sample["after"].shape == (1, 4, 16, 16)
    assert not sample["motion"].any(), "the position of the patch accounts for whole pixels"
    assert not sample["visible"][0, 0, :2].any()
    assert not sample["visible"][0, 0, :, -2:].any()
    assert sample["visible"][0, 0, 2:-2, 2:-2].all()
    inside = (sample["before"] != 0) & sample["visible"]
    torch.testing.assert_close(sample["before"][inside], sample["after"][inside])
    if corner == (12, 20):
        assert inside[0, 0, 2:-2, 2:-2].float().mean() > 0.98
        assert float(temporal_loss(sample["before"], sample["after"], sample["motion"], sample["visible"])) < 1e-6


def test_a_patch_larger_than_the_frame_is_zero_beyond_it():
    sample = moved((0, 0)).patch(0, 0, 64)
    assert not sample["after"][..., SIZE[0] :, :].any()
    assert not sample["visible"][..., SIZE[0] :, :].any()
    assert sample["after"][..., :, : SIZE[1]].any()


def test_pixels_with_a_counterpart_outside_the_patch_are_not_visible():
    pair = moved((0, 0))
    pair.backward[:, 40:, 0] = 30.0
    visible = pair.patch(12, 20, 32)["visible"][0, 0]
    assert visible[8:-8, 6:18].all()
    assert not visible[:, 20:].any()


def test_patches_depend_on_seed_and_step_only():
    pairs = [moved((1, 1)), moved((2, 0))]
    draws = [
        PairSource(pairs, side=16, patches=2, seed=seed).make_batch(step) for seed, step in ((0, 5), (0, 5), (0, 6))
    ]
    assert draws[0]["after"].shape == (2, 4, 16, 16)
    torch.testing.assert_close(draws[0], draws[1])
    assert not torch.equal(draws[0]["after"], draws[2]["after"])


@pytest.mark.parametrize(
    ("count", "found"), [(0, []), (1, ["d"]), (2, ["b", "f"]), (3, ["b", "d", "f"]), (99, list("abcdefg"))]
)
def test_pairs_are_spread_over_the_clip(count, found):
    assert spread("abcdefg", count) == found


def reader(clip, asked):
    def read(stems):
        asked.append(stems)
        return clip.frames.read_ahead(stems)

    return read


def test_only_the_frames_of_the_pairs_are_read(disc_clip):
    clip, asked = disc_clip(masks=(), keyframes=()).clip, []
    pairs = list(read_pairs(clip, DisFlow(), reader(clip, asked), ["0002", "0003", "0007"]))
    assert asked == [["0002", "0003", "0004", "0007", "0008"]]
    for pair, stem in zip(pairs, ("0002", "0003", "0007"), strict=True):
        np.testing.assert_array_equal(pair.before, clip.frames.read(stem))
        np.testing.assert_array_equal(pair.after, clip.frames.read(f"{int(stem) + 1:04d}"))


def test_the_probe_crops_where_frames_have_detail_and_are_painted(disc_clip):
    drawing = disc_clip(count=4, size=(48, 64), masks=(), keyframes=())
    rng = np.random.default_rng(0)
    for stem in drawing.stems:
        picture = np.full((48, 64, 3), 90, np.uint8)
        picture[4:20, 4:20] = rng.integers(0, 255, (16, 16, 3)) if stem == "0001" else picture[4:20, 4:20]
        picture[28:44, 40:56] = np.random.default_rng(9).integers(80, 110, (16, 16, 3))
        drawing.save(f"frames/{stem}.png", picture)
    clip, where = drawing.clip, np.zeros((48, 64), bool)
    where[:, 32:] = True
    crops = FlickerProbe(DisFlow(), pairs=2, side=16).crops(clip, reader(clip, []), where)
    assert [crop["after"].shape for crop in crops] == [(1, 3, 16, 16)] * 2
    assert all(float(crop["after"].std()) > 0.03 for crop in crops)
    assert FlickerProbe(DisFlow(), pairs=0).crops(clip, reader(clip, []), where) == []
    single = disc_clip("single", count=1, masks=(), keyframes=()).clip
    assert FlickerProbe(DisFlow()).crops(single, reader(single, []), np.ones(single.size, bool)) == []


def test_the_temporal_loss_uses_other_pairs_than_the_probe(disc_clip):
    clip, asked = disc_clip(masks=(), keyframes=()).clip, []
    probe = FlickerProbe(DisFlow(), pairs=2)
    with_weight = Consistency(DisFlow(), weight=1.0, pairs=2)
    source = with_weight.source(clip, reader(clip, asked), without=probe.pair_stems(clip), side=16, seed=0)
    assert probe.pair_stems(clip) == ["0002", "0006"]
    assert len(source.pairs) == 2
    assert asked == [["0003", "0004", "0005", "0006"]]
    off = Consistency(DisFlow()).source(clip, reader(clip, asked), without=(), side=16, seed=0)
    assert off is None
    assert len(asked) == 1, "nothing is read at weight 0"


def test_a_training_batch_contains_pairs_and_validation_the_probe():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (1, *SIZE, 4), dtype=np.uint8)
    data = KeyframesDataModule(
        Keyframes(("0001",), pictures, pictures[..., :3].copy(), np.ones((1, *SIZE), bool)), patch=16, batch_size=2
    )
    assert "pair" not in data.make_batch(0)
    data.pairs = PairSource([moved((1, 0))], side=16, patches=3, seed=0)
    batch = data.make_batch(4)
    assert batch["pair"]["before"].shape == (3, 4, 16, 16)
    torch.testing.assert_close(batch["pair"], data.pairs.make_batch(4))
    assert batch["frame"].shape == (2, 4, 16, 16)
    assert len(data.val_dataloader()) == 1
    data.probe = [moved((1, 0)).patch(0, 0, 16)] * 2
    assert len(list(data.val_dataloader()[1])) == 2


def test_no_pair_spans_a_cut(cut_clip):
    clip = cut_clip().clip
    assert FlickerProbe(DisFlow(), pairs=100).pair_stems(clip) == [
        stem for stem in clip.stems if stem not in ("0006", "0012")
    ]
