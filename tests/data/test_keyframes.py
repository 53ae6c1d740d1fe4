import logging

import numpy as np
import pytest
import torch

from dreaming.clip.annotations import Keyframes
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.data.patches import PatchSource
from dreaming.errors import ConfigError, KeyframeError, MaskError


def keyframes(count=2, height=60, width=80, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, height, width), dtype=bool)
    masks[:, 4:56, 6:76] = True
    make_batch = lambda *shape: rng.integers(0, 256, shape, dtype=np.uint8)  # noqa: E731
    stems = tuple(f"{10 * k:04}" for k in range(count))
    return Keyframes(stems, make_batch(count, height, width, channels), make_batch(count, height, width, 3), masks)


def test_versions_of_a_keyframe_hold_out_the_same_pixels_and_are_whole_once():
    one = keyframes(channels=4)
    places = [0, 0, 1]
    several = Keyframes(
        tuple(one.stems[place] for place in places), one.sources[places], one.styled[places], one.masks[places]
    )
    data = KeyframesDataModule(several, patch=16, batch_size=5, holdout=0.2)
    np.testing.assert_array_equal(data.held[0], data.held[1])
    assert data.held[0].any()
    whole = list(data.whole())
    assert len(whole) == 2
    for number, place in enumerate((0, 2)):
        np.testing.assert_allclose(
            whole[number][0], several.sources[place, ..., :3].transpose(2, 0, 1) / 127.5 - 1, atol=1e-6
        )
        np.testing.assert_allclose(whole[number][1], several.styled[place].transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)
        np.testing.assert_array_equal(whole[number][2][0], several.masks[place] & ~data.held[place])


def test_a_batch_has_frame_style_and_other_patches():
    data = KeyframesDataModule(keyframes(channels=6), patch=16, batch_size=5, holdout=0.1)
    batch = data.make_batch(0)
    shapes = {"frame": (5, 6, 16, 16), "styled": (5, 3, 16, 16), "other": (5, 3, 16, 16), "mask": (5, 1, 16, 16)}
    assert {name: tuple(values.shape) for name, values in batch.items()} == shapes
    assert batch["mask"].dtype == torch.bool
    assert all(batch[name].dtype == torch.float32 for name in ("frame", "styled", "other"))
    assert not torch.equal(batch["styled"], batch["other"])


def test_every_centre_of_the_eroded_mask_comes_once_a_pass():
    given_ = keyframes()
    data = KeyframesDataModule(given_, patch=1, batch_size=46, erosion=7, holdout=0.0)
    inner = np.zeros_like(given_.masks)
    inner[:, 7:53, 9:73] = True  # three pixels less on each side
    assert inner.sum() % 46 == 0
    seen = torch.cat([data.make_batch(step)["styled"] for step in range(inner.sum() // 46)])
    expected = torch.from_numpy(given_.styled[inner] / 127.5 - 1).float()
    order = lambda colours: sorted(map(tuple, (colours * 1e4).round().int().tolist()))  # noqa: E731
    assert order(seen[:, :, 0, 0]) == order(expected)


def test_held_out_blocks_are_measured_and_never_a_target():
    given_ = keyframes(width=200)
    given_.masks[:, 4:56, 6:196] = True
    given_.styled[:] = np.arange(2 * 60 * 200 * 3, dtype=np.uint32).reshape(2, 60, 200, 3) % 251
    data = KeyframesDataModule(given_, patch=16, batch_size=30, holdout=0.2, seed=3)
    # Marks on each pixel tell where a target came from.
    flat = np.arange(2 * 60 * 200)
    source = np.stack((flat % 256, flat // 256 % 256, flat // 65536), axis=-1).astype(np.uint8).reshape(2, 60, 200, 3)
    marked = Keyframes(given_.stems, source, given_.styled, given_.masks)
    data.windows.source = data.draws[1.0].source = PatchSource(marked, given_.masks & ~data.held, data.held)

    def places(batch):
        marks = ((batch["frame"] + 1) * 127.5).round().long()
        return set((marks[:, 0] + 256 * marks[:, 1] + 65536 * marks[:, 2])[batch["mask"][:, 0]].tolist())

    learnt = set().union(*(places(data.make_batch(step)) for step in range(60)))
    measured = [places(data.windows[number]) for number in range(len(data.windows))]
    assert sum(map(len, measured)) == len(set().union(*measured)), "a pixel is measured twice"
    held = set().union(*measured)
    assert held == set(np.flatnonzero(data.held).tolist())
    assert learnt.isdisjoint(held)
    assert 0.1 < len(held) / given_.masks.sum() <= 0.2


def test_a_whole_keyframe_can_be_held_out():
    given_ = keyframes(count=3)
    data = KeyframesDataModule(given_, patch=16, batch_size=10, held_keyframes=["0010"])
    assert set(data.draws[1.0].places // (60 * 80)) == {0, 2}
    np.testing.assert_array_equal(data.held[1], given_.masks[1])
    batches = list(data.val_dataloader())
    assert sum(int(batch["mask"].sum()) for batch in batches) == given_.masks[1].sum()
    assert all(batch["frame"].shape[-2:] == (48, 48) for batch in batches)


def test_a_mask_too_small_to_hold_out_is_said_and_measured_itself(caplog):
    given_ = keyframes(count=1)
    given_.masks[:] = False
    given_.masks[:, 20:30, 20:30] = True
    with caplog.at_level(logging.WARNING):
        data = KeyframesDataModule(given_, patch=16, batch_size=4, holdout=0.1)
    assert "No pixels are held out" in caplog.text
    assert len(data.draws[1.0].places) == 16
    assert sum(int(batch["mask"].sum()) for batch in data.val_dataloader()) == 100
    assert data.make_batch(0)["mask"].any()


def test_beyond_the_border_nothing_is_learnt():
    given_ = keyframes(count=1, height=20, width=20)
    given_.masks[:] = True
    batch = KeyframesDataModule(given_, patch=16, batch_size=40, holdout=0.0).make_batch(0)
    outside = ~batch["mask"].expand(-1, 3, -1, -1)
    assert outside.any()
    assert not batch["frame"][outside].any()
    assert not batch["styled"][outside].any()


def test_the_loader_goes_through_the_steps():
    data = KeyframesDataModule(keyframes(), patch=8, batch_size=4, steps_per_epoch=3)
    batches = list(data.train_dataloader())
    assert len(batches) == 3
    for step, batch in enumerate(batches):
        torch.testing.assert_close(batch, data.make_batch(step))


def test_a_mask_without_a_centre_is_named():
    given_ = keyframes()
    given_.masks[1] = False
    given_.masks[1, 10:16, 10:40] = True
    with pytest.raises(MaskError, match=r"keyframe 0010: found 180 pixels, none of them left after erosion by 7"):
        KeyframesDataModule(given_)


@pytest.mark.parametrize("held", [["0099"], ["0000", "0010"]])
def test_held_keyframes_that_do_not_fit_are_refused(held):
    with pytest.raises(KeyframeError, match="some, but not all, of 0000, 0010"):
        KeyframesDataModule(keyframes(), held_keyframes=held)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("holdout", -0.1, "a share of 0 to 0.5"),
        ("holdout", 0.9, "a share of 0 to 0.5"),
        ("patch", 0, "1 pixel or more"),
        ("batch_size", 0, "1 or more"),
        ("erosion", -1, "0 pixels or more"),
        ("scales", (), "shares above 0, up to 1"),
        ("scales", (1.0, 0.0), "shares above 0, up to 1"),
        ("scales", (2.0,), "shares above 0, up to 1"),
        ("edge_share", 1.5, "a share of 0 to 1"),
        ("edge_width", 0.0, "a distance above 0"),
    ],
)
def test_values_out_of_range_are_refused(key, value, expected):
    with pytest.raises(ConfigError, match=rf"data.keyframes.{key}: .*{expected}"):
        KeyframesDataModule(keyframes(), **{key: value})


def ramps(height=64, width=96):
    """One keyframe whose styled colours tell where they came from, and what may be learnt there."""
    rows, columns = np.mgrid[:height, :width]
    styled = np.stack((rows, columns, 0 * rows), axis=-1).astype(np.uint8)[None]
    masks = np.zeros((1, height, width), bool)
    masks[:, 6:50, 10:80] = True
    return Keyframes(("0001",), styled.copy(), styled, masks)


def learnt_places(batch):
    """(y, x) of all pixels of a batch that are learnt from."""
    places = ((batch["styled"] + 1) * 127.5)[:, :2].permute(0, 2, 3, 1)[batch["mask"][:, 0]]
    return {(round(y), round(x)) for y, x in places.tolist()}


def test_nothing_outside_the_mask_is_learnt():
    given_ = ramps()
    data = KeyframesDataModule(given_, patch=16, batch_size=40, holdout=0.0, erosion=0)
    places = set().union(*(learnt_places(data.make_batch(step)) for step in range(77)))
    assert places <= set(map(tuple, np.argwhere(given_.masks[0])))


def test_averaged_scales_take_turns_and_show_the_keyframe_smaller():
    scales = [1.0, 0.25, 1.0, 0.5]
    data = KeyframesDataModule(ramps(), patch=16, batch_size=8, holdout=0.0, scales=scales, averaged=True)
    once = KeyframesDataModule(ramps(), patch=16, batch_size=8, holdout=0.0)
    batches = [data.make_batch(step) for step in range(8)]
    assert all(batch["frame"].shape == (8, 3, 16, 16) for batch in batches)
    # A step down is one colour at full scale, two at half, four at a quarter.
    steps = []
    for batch in batches:
        styled = (batch["styled"][:, 0] + 1) * 127.5
        learnt = batch["mask"][:, 0, 1:] & batch["mask"][:, 0, :-1]
        steps.append(round((styled[:, 1:] - styled[:, :-1])[learnt].mean().item(), 3))
    assert steps == [1, 4, 1, 2] * 2
    for turn, step in enumerate((0, 2, 4, 6)):
        torch.testing.assert_close(batches[step], once.make_batch(turn))
    torch.testing.assert_close(batches[5], data.make_batch(5))
    assert not torch.equal(batches[1]["styled"], batches[5]["styled"])


def test_scales_are_larger_patches_at_full_resolution():
    data = KeyframesDataModule(ramps(), patch=12, batch_size=16, holdout=0.1, scales=[1.0, 0.5, 0.1])
    once = KeyframesDataModule(ramps(), patch=12, batch_size=16, holdout=0.1)
    shapes = [tuple(data.make_batch(step)["frame"].shape) for step in range(6)]
    assert shapes == [(16, 3, 12, 12), (4, 3, 24, 24), (1, 3, 120, 120)] * 2
    assert data.smallest_batch == 1
    torch.testing.assert_close(data.make_batch(3), once.make_batch(1))
    wide = data.make_batch(4)
    places = learnt_places(wide)
    assert places <= set(map(tuple, np.argwhere(data.keyframes.masks[0] & ~data.held[0])))
    inner = wide["mask"][:, 0, 1:] & wide["mask"][:, 0, :-1]
    styled = (wide["styled"][:, 0] + 1) * 127.5
    assert (styled[:, 1:] - styled[:, :-1])[inner].round().unique().tolist() == [1], "no pixel is left out"


def test_whole_keyframes_at_full_resolution_have_one_scale():
    with pytest.raises(ConfigError, match=r"data.keyframes.averaged: found False, expected true for whole keyframes"):
        KeyframesDataModule(keyframes(), patch=None, scales=[1.0, 0.5])


@pytest.mark.parametrize("scale", [0.5, 0.25, 0.3])
def test_what_holds_one_held_out_pixel_is_no_target_at_any_scale(scale):
    given_ = ramps()
    # White where nothing may be learnt: what is learnt has not a trace of it.
    data = KeyframesDataModule(given_, patch=8, batch_size=30, holdout=0.2, erosion=0, scales=[scale], averaged=True)
    assert data.withheld
    given_.styled[..., 2] = 255 * (data.held | ~given_.masks)
    data = KeyframesDataModule(given_, patch=8, batch_size=30, holdout=0.2, erosion=0, scales=[scale], averaged=True)
    batches = [data.make_batch(step) for step in range(20)]
    blue = torch.cat([batch["styled"][:, 2][batch["mask"][:, 0]] for batch in batches])
    assert len(blue) > 1000
    assert (blue == -1).all()
    assert any((batch["styled"][:, 2] > -1).any() for batch in batches), "patches reach over it all the same"
    assert all(batch["frame"].shape[-1] == 2 * 8 for batch in [data.windows[0]]), "validation is at full scale"


@pytest.mark.parametrize(
    ("patch", "options", "words"),
    [
        (97, {}, "patches of 97 pixels are larger than the 96"),
        (48, {"scales": [1.0, 0.25]}, "patches of 192 pixels are larger than the 96"),
        (48, {"scales": [1.0, 0.25], "averaged": True}, "patches of 48 pixels are larger than the 24"),
    ],
)
def test_patches_larger_than_what_they_are_cut_from_are_told(caplog, patch, options, words):
    KeyframesDataModule(ramps(), patch=96 if patch == 97 else 24, batch_size=4, **options)
    assert not caplog.text
    KeyframesDataModule(ramps(), patch=patch, batch_size=4, **options)
    assert words in caplog.text


def test_a_scale_without_room_is_refused():
    given_ = ramps()
    given_.masks[:] = False
    given_.masks[:, 20:30, 20:30] = True
    with pytest.raises(ConfigError, match=r"data.keyframes.scales: found 0.1, at which no pixel"):
        KeyframesDataModule(given_, patch=8, holdout=0.0, scales=[1.0, 0.1], averaged=True)


def test_a_share_of_the_patches_lies_at_the_mask_s_edge(caplog):
    given_ = ramps()
    far = np.ones((44, 70), bool)
    far[5:-5, 5:-5] = False  # within 5 pixels of the outside
    data = KeyframesDataModule(
        given_, patch=1, batch_size=3, holdout=0.0, erosion=0, edge_share=0.5, edge_width=5.0, seed=4
    )
    centres = [((data.make_batch(step)["styled"][:, :2, 0, 0] + 1) * 127.5).round().long() for step in range(200)]
    near = np.concatenate([far[y - 6, x - 10] for y, x in (c.T.numpy() for c in centres)])
    # Half of them on purpose, and of the rest as many as lie there anyway.
    assert abs(near.mean() - (0.5 + 0.5 * far.mean())) < 0.03
    edges = np.concatenate([c.numpy()[-(((step + 1) * 3) // 2 - (step * 3) // 2) :] for step, c in enumerate(centres)])
    assert far[edges[:, 0] - 6, edges[:, 1] - 10].all()
    assert len(edges) == 300
    assert not caplog.records or "edge" not in caplog.text


def test_a_mask_without_an_edge_is_told(caplog):
    given_ = keyframes(count=1)
    given_.masks[:] = True
    plain = KeyframesDataModule(given_, patch=8, batch_size=4, holdout=0.0)
    with caplog.at_level(logging.WARNING):
        data = KeyframesDataModule(given_, patch=8, batch_size=4, holdout=0.0, edge_share=0.5)
    assert "edge_share has no effect" in caplog.text
    torch.testing.assert_close(data.make_batch(3), plain.make_batch(3))


def test_without_a_patch_size_whole_keyframes_are_drawn():
    given_ = keyframes(count=3, channels=5)
    data = KeyframesDataModule(given_, patch=None, batch_size=1, holdout=0.1)
    batches = [data.make_batch(step) for step in range(6)]
    assert batches[0]["frame"].shape == (1, 5, 60, 80)
    assert batches[0]["other"].shape == (1, 3, 60, 80)
    whole = torch.from_numpy(given_.styled).permute(0, 3, 1, 2) / 127.5 - 1
    drawn = [int((whole - batch["styled"]).abs().amax(dim=(1, 2, 3)).argmin()) for batch in batches]
    assert sorted(drawn[:3]) == sorted(drawn[3:]) == [0, 1, 2], "each once a pass"
    for batch, k in zip(batches, drawn, strict=True):
        torch.testing.assert_close(batch["styled"][0], whole[k])
        np.testing.assert_array_equal(batch["mask"][0, 0], given_.masks[k] & ~data.held[k])
    assert data.held.any()
    measured = list(data.val_dataloader())
    assert all(batch["frame"].shape == (1, 5, 60, 80) for batch in measured)
    assert sum(int(batch["mask"].sum()) for batch in measured) == data.held.sum()


def test_whole_keyframes_may_be_held_out_and_shrunk():
    data = KeyframesDataModule(
        keyframes(count=3), patch=None, batch_size=2, held_keyframes=["0010"], scales=[1.0, 0.5], averaged=True
    )
    batches = [data.make_batch(step) for step in range(4)]
    assert [tuple(batch["frame"].shape) for batch in batches] == [(2, 3, 60, 80), (2, 3, 30, 40)] * 2
    (measured,) = data.val_dataloader()
    torch.testing.assert_close(
        measured["styled"][0], torch.from_numpy(data.keyframes.styled[1]).permute(2, 0, 1) / 127.5 - 1
    )
    assert all(not torch.equal(frame, measured["styled"][0]) for frame in batches[0]["styled"])
