"""Pairs of unpainted frames: patches cut out where their content has moved to, and what they flicker."""

import numpy as np
import pytest
import torch

from dreaming.clip.annotations import Keyframes
from dreaming.data.frame_pairs import Consistency, FramePair, PairSource, Probe, read_pairs, spread
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.errors import ConfigError
from dreaming.flow.dis import DisFlow
from dreaming.losses.style import unsteadiness

SIZE = (40, 60)


def moved(step):
    """A random scene, and the same scene (x, y) pixels further right and down; flow and visibility as they are."""
    rng = np.random.default_rng(1)
    x, y = step
    scene = rng.integers(0, 256, (SIZE[0] + 20, SIZE[1] + 20, 4)).astype(np.uint8)
    before = scene[10 : 10 + SIZE[0], 10 : 10 + SIZE[1]]
    after = scene[10 - y : 10 - y + SIZE[0], 10 - x : 10 - x + SIZE[1]]
    backward = np.full((*SIZE, 2), (-x, -y), np.float32)
    return FramePair(before.copy(), after.copy(), backward, np.ones(SIZE, bool))


@pytest.mark.parametrize("step", [(0, 0), (3, -2), (-7, 5)])
@pytest.mark.parametrize("corner", [(0, 0), (12, 20), (24, 44)])
def test_content_is_cut_out_where_it_has_moved_to(step, corner):
    sample = moved(step).patch(*corner, 16)
    assert sample["before"].shape == sample["after"].shape == (1, 4, 16, 16)
    assert not sample["motion"].any(), "whole pixels are taken out by where the patch is cut"
    assert not sample["seen"][0, 0, :2].any()
    assert not sample["seen"][0, 0, :, -2:].any()
    assert sample["seen"][0, 0, 2:-2, 2:-2].all()
    inside = (sample["before"] != 0) & sample["seen"]
    torch.testing.assert_close(sample["before"][inside], sample["after"][inside])
    if corner == (12, 20):
        assert inside[0, 0, 2:-2, 2:-2].float().mean() > 0.98
        assert float(unsteadiness(sample["before"], sample["after"], sample["motion"], sample["seen"])) < 1e-6


def test_a_patch_larger_than_the_frame_is_zero_beyond_it():
    sample = moved((0, 0)).patch(0, 0, 64)
    assert not sample["after"][..., SIZE[0] :, :].any()
    assert not sample["seen"][..., SIZE[0] :, :].any()
    assert sample["after"][..., :, : SIZE[1]].any()


def test_pixels_whose_like_lies_outside_the_patch_are_not_seen():
    pair = moved((0, 0))
    pair.backward[:, 40:, 0] = 30.0
    seen = pair.patch(12, 20, 32)["seen"][0, 0]
    assert seen[8:-8, 6:18].all()
    assert not seen[:, 20:].any()


def test_draws_depend_on_seed_and_step_alone():
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


def test_the_probe_looks_where_the_picture_has_detail_and_is_painted(disc_clip):
    drawing = disc_clip(count=4, size=(48, 64), masks=(), keyframes=())
    rng = np.random.default_rng(0)
    for stem in drawing.stems:
        picture = np.full((48, 64, 3), 90, np.uint8)
        picture[4:20, 4:20] = rng.integers(0, 255, (16, 16, 3)) if stem == "0001" else picture[4:20, 4:20]
        picture[28:44, 40:56] = np.random.default_rng(9).integers(80, 110, (16, 16, 3))
        drawing.save(f"frames/{stem}.png", picture)
    clip, where = drawing.clip, np.zeros((48, 64), bool)
    where[:, 32:] = True
    probe = Probe(DisFlow(), pairs=2, side=16).of(clip, reader(clip, []), where)
    assert probe["after"].shape == (2, 3, 16, 16)
    assert float(probe["after"].std()) > 0.03
    assert Probe(DisFlow(), pairs=0).of(clip, reader(clip, []), where) is None
    single = disc_clip("single", count=1, masks=(), keyframes=()).clip
    assert Probe(DisFlow()).of(single, reader(single, []), np.ones(single.size, bool)) is None


def test_steadiness_is_learnt_from_other_pairs_than_it_is_judged_by(disc_clip):
    clip, asked = disc_clip(masks=(), keyframes=()).clip, []
    probe = Probe(DisFlow(), pairs=2)
    with_weight = Consistency(DisFlow(), weight=1.0, pairs=2)
    source = with_weight.of(clip, reader(clip, asked), without=probe.chosen(clip), side=16, seed=0)
    assert probe.chosen(clip) == ["0002", "0006"]
    assert len(source.pairs) == 2
    assert asked == [["0003", "0004", "0005", "0006"]]
    off = Consistency(DisFlow()).of(clip, reader(clip, asked), without=(), side=16, seed=0)
    assert off is None
    assert len(asked) == 1, "nothing is read where it counts nothing"


def test_a_batch_has_its_pair_under_a_key_of_its_own():
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


@pytest.mark.parametrize(
    "wrong", [lambda: Probe(DisFlow(), pairs=-1), lambda: Probe(DisFlow(), side=4), lambda: Consistency(DisFlow(), -1)]
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"model\.style"):
        wrong()
