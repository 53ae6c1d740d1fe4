import logging

import numpy as np
import pytest
import torch

from dreaming.data.keyframes import KeyframesDataModule
from dreaming.data.patches import PatchSource
from dreaming.errors import ConfigError, KeyframeError, MaskError
from dreaming.frames.references import Keyframes


def keyframes(count=2, height=60, width=80, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, height, width), dtype=bool)
    masks[:, 4:56, 6:76] = True
    draw = lambda *shape: rng.integers(0, 256, shape, dtype=np.uint8)  # noqa: E731
    stems = tuple(f"{10 * k:04}" for k in range(count))
    return Keyframes(stems, draw(count, height, width, channels), draw(count, height, width, 3), masks)


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
    batch = data.draw(0)
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
    seen = torch.cat([data.draw(step)["styled"] for step in range(inner.sum() // 46)])
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
    data.source = PatchSource(Keyframes(given_.stems, source, given_.styled, given_.masks), _held(data))
    data.windows.source = data.source

    def places(batch):
        marks = ((batch["frame"] + 1) * 127.5).round().long()
        return set((marks[:, 0] + 256 * marks[:, 1] + 65536 * marks[:, 2])[batch["mask"][:, 0]].tolist())

    learnt = set().union(*(places(data.draw(step)) for step in range(60)))
    measured = [places(data.windows[number]) for number in range(len(data.windows))]
    assert sum(map(len, measured)) == len(set().union(*measured)), "a pixel is measured twice"
    held = set().union(*measured)
    assert held == set(np.flatnonzero(_held(data)).tolist())
    assert learnt.isdisjoint(held)
    assert 0.1 < len(held) / given_.masks.sum() <= 0.2


def _held(data):
    """(K, H, W) bool, what a data module held out, read from its pixels."""
    return data.source._pixels[:, -1].numpy().reshape(data.keyframes.masks.shape).astype(bool)


def test_a_whole_keyframe_can_be_held_out():
    given_ = keyframes(count=3)
    data = KeyframesDataModule(given_, patch=16, batch_size=10, held_keyframes=["0010"])
    assert set(data.places // (60 * 80)) == {0, 2}
    np.testing.assert_array_equal(_held(data)[1], given_.masks[1])
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
    assert len(data.places) == 16
    assert sum(int(batch["mask"].sum()) for batch in data.val_dataloader()) == 100
    assert data.draw(0)["mask"].all()


def test_beyond_the_border_nothing_is_learnt():
    given_ = keyframes(count=1, height=20, width=20)
    given_.masks[:] = True
    batch = KeyframesDataModule(given_, patch=16, batch_size=40, holdout=0.0).draw(0)
    outside = ~batch["mask"].expand(-1, 3, -1, -1)
    assert outside.any()
    assert not batch["frame"][outside].any()
    assert not batch["styled"][outside].any()


def test_the_loader_goes_through_the_steps():
    data = KeyframesDataModule(keyframes(), patch=8, batch_size=4, steps_per_epoch=3)
    batches = list(data.train_dataloader())
    assert len(batches) == 3
    for step, batch in enumerate(batches):
        torch.testing.assert_close(batch, data.draw(step))


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


@pytest.mark.parametrize("holdout", [-0.1, 0.9])
def test_a_share_out_of_range_is_refused(holdout):
    with pytest.raises(ConfigError, match="a share of 0 to"):
        KeyframesDataModule(keyframes(), holdout=holdout)
