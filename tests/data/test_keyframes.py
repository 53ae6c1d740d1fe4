import logging

import numpy as np
import pytest
import torch

from dreaming.clip.annotations import Keyframes
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.data.patches import PatchSource
from dreaming.errors import KeyframeError, MaskError, ParameterError


def keyframes(count=2, height=60, width=80, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, height, width), dtype=bool)
    masks[:, 4:56, 6:76] = True
    make_batch = lambda *shape: rng.integers(0, 256, shape, dtype=np.uint8)
    stems = tuple(f"{10 * k:04}" for k in range(count))
    return Keyframes(stems, make_batch(count, height, width, channels), make_batch(count, height, width, 3), masks)


def test_versions_of_a_keyframe_hold_out_the_same_pixels_and_are_yielded_once():
    one = keyframes(channels=4)
    indices = [0, 0, 1]
    several = Keyframes(
        tuple(one.stems[index] for index in indices), one.sources[indices], one.styled[indices], one.masks[indices]
    )
    data = KeyframesDataModule(several, patch=16, batch_size=5, holdout=0.2)
    np.testing.assert_array_equal(data.held_out[0], data.held_out[1])
    assert data.held_out[0].any()
    whole = list(data.iter_keyframes())
    assert len(whole) == 2
    for number, index in enumerate((0, 2)):
        np.testing.assert_allclose(
            whole[number][0], several.sources[index, ..., :3].transpose(2, 0, 1) / 127.5 - 1, atol=1e-6
        )
        np.testing.assert_allclose(whole[number][1], several.styled[index].transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)
        np.testing.assert_array_equal(whole[number][2][0], several.masks[index] & ~data.held_out[index])


def test_a_batch_has_frame_style_and_other_patches():
    data = KeyframesDataModule(keyframes(channels=6), patch=16, batch_size=5, holdout=0.1)
    batch = data.make_batch(0)
    shapes = {"frame": (5, 6, 16, 16), "styled": (5, 3, 16, 16), "other": (5, 3, 16, 16), "mask": (5, 1, 16, 16)}
    assert {name: tuple(values.shape) for name, values in batch.items()} == shapes
    assert batch["mask"].dtype == torch.bool
    assert all(batch[name].dtype == torch.float32 for name in ("frame", "styled", "other"))
    assert not torch.equal(batch["styled"], batch["other"])


def test_every_centre_of_the_eroded_mask_occurs_once_per_pass():
    given_ = keyframes()
    data = KeyframesDataModule(given_, patch=1, batch_size=46, erosion=7, holdout=0.0)
    inner = np.zeros_like(given_.masks)
    inner[:, 7:53, 9:73] = True  # three pixels less on each side
    assert inner.sum() % 46 == 0
    seen = torch.cat([data.make_batch(step)["styled"] for step in range(inner.sum() // 46)])
    expected = torch.from_numpy(given_.styled[inner] / 127.5 - 1).float()
    order = lambda colours: sorted(map(tuple, (colours * 1e4).round().int().tolist()))
    assert order(seen[:, :, 0, 0]) == order(expected)


def test_held_out_blocks_are_measured_and_not_trained_on():
    given_ = keyframes(width=200)
    given_.masks[:, 4:56, 6:196] = True
    given_.styled[:] = np.arange(2 * 60 * 200 * 3, dtype=np.uint32).reshape(2, 60, 200, 3) % 251
    data = KeyframesDataModule(given_, patch=16, batch_size=30, holdout=0.2, seed=3)
    # Colours identify the pixels.
    flat = np.arange(2 * 60 * 200)
    source = np.stack((flat % 256, flat // 256 % 256, flat // 65536), axis=-1).astype(np.uint8).reshape(2, 60, 200, 3)
    marked = Keyframes(given_.stems, source, given_.styled, given_.masks)
    assert not data.held_out.ravel()[data.samplers[1.0].index].any(), "a patch around a held-out pixel"
    data.windows.source = data.samplers[1.0].source = PatchSource(marked, given_.masks & ~data.held_out, data.held_out)

    def pixels(batch):
        marks = ((batch["frame"] + 1) * 127.5).round().long()
        return set((marks[:, 0] + 256 * marks[:, 1] + 65536 * marks[:, 2])[batch["mask"][:, 0]].tolist())

    trained = set().union(*(pixels(data.make_batch(step)) for step in range(60)))
    measured = [pixels(data.windows[index]) for index in range(len(data.windows))]
    assert sum(map(len, measured)) == len(set().union(*measured)), "a pixel is measured twice"
    held = set().union(*measured)
    assert held == set(np.flatnonzero(data.held_out).tolist())
    assert trained.isdisjoint(held)
    assert 0.1 < len(held) / given_.masks.sum() <= 0.2


def test_a_whole_keyframe_can_be_held_out():
    given_ = keyframes(count=3)
    data = KeyframesDataModule(given_, patch=16, batch_size=10, holdout_keyframes=["0010"])
    assert set(data.samplers[1.0].index // (60 * 80)) == {0, 2}
    np.testing.assert_array_equal(data.held_out[1], given_.masks[1])
    batches = list(data.val_dataloader()[0])
    assert sum(int(batch["mask"].sum()) for batch in batches) == given_.masks[1].sum()
    assert all(batch["frame"].shape[-2:] == (48, 48) for batch in batches)


def test_a_mask_too_small_for_a_holdout_is_measured_itself_with_a_warning(caplog):
    given_ = keyframes(count=1)
    given_.masks[:] = False
    given_.masks[:, 20:30, 20:30] = True
    with caplog.at_level(logging.WARNING):
        data = KeyframesDataModule(given_, patch=16, batch_size=4, holdout=0.1)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert len(data.samplers[1.0].index) == 16
    assert sum(int(batch["mask"].sum()) for batch in data.val_dataloader()[0]) == 100
    assert data.make_batch(0)["mask"].any()


def test_pixels_beyond_the_border_are_not_trained_on():
    given_ = keyframes(count=1, height=20, width=20)
    given_.masks[:] = True
    batch = KeyframesDataModule(given_, patch=16, batch_size=40, holdout=0.0).make_batch(0)
    outside = ~batch["mask"].expand(-1, 3, -1, -1)
    assert outside.any()
    assert not batch["frame"][outside].any()
    assert not batch["styled"][outside].any()


def test_the_loader_yields_the_batches_of_the_steps():
    data = KeyframesDataModule(keyframes(), patch=8, batch_size=4, steps_per_epoch=3)
    batches = list(data.train_dataloader())
    assert len(batches) == 3
    for step, batch in enumerate(batches):
        torch.testing.assert_close(batch, data.make_batch(step))


def test_a_mask_without_an_allowed_centre_raises():
    given_ = keyframes()
    given_.masks[1] = False
    given_.masks[1, 10:16, 10:40] = True
    with pytest.raises(MaskError) as error:
        KeyframesDataModule(given_)
    assert error.value.where == "mask of keyframe 0010"
    assert error.value.found.startswith("180 pixels")


@pytest.mark.parametrize("held", [["0099"], ["0000", "0010"]])
def test_wrong_holdout_keyframes_raise(held):
    with pytest.raises(KeyframeError) as error:
        KeyframesDataModule(keyframes(), holdout_keyframes=held)
    assert error.value.where == "data.keyframes.holdout_keyframes"
    assert error.value.found == ", ".join(held)


def ramps(height=64, width=96):
    """One keyframe whose painted colours are coordinates, and a mask."""
    rows, columns = np.mgrid[:height, :width]
    styled = np.stack((rows, columns, 0 * rows), axis=-1).astype(np.uint8)[None]
    masks = np.zeros((1, height, width), bool)
    masks[:, 6:50, 10:80] = True
    return Keyframes(("0001",), styled.copy(), styled, masks)


def training_pixels(batch):
    """(y, x) of all pixels of a batch that are trained on."""
    pixels = ((batch["styled"] + 1) * 127.5)[:, :2].permute(0, 2, 3, 1)[batch["mask"][:, 0]]
    return {(round(y), round(x)) for y, x in pixels.tolist()}


def test_pixels_outside_the_mask_are_not_trained_on():
    given_ = ramps()
    data = KeyframesDataModule(given_, patch=16, batch_size=40, holdout=0.0, erosion=0)
    pixels = set().union(*(training_pixels(data.make_batch(step)) for step in range(77)))
    assert pixels <= set(map(tuple, np.argwhere(given_.masks[0])))


def test_scales_are_larger_patches_at_full_resolution():
    data = KeyframesDataModule(ramps(), patch=12, batch_size=16, holdout=0.1, scales=[1.0, 0.5, 0.1])
    once = KeyframesDataModule(ramps(), patch=12, batch_size=16, holdout=0.1)
    shapes = [tuple(data.make_batch(step)["frame"].shape) for step in range(6)]
    assert shapes == [(16, 3, 12, 12), (4, 3, 24, 24), (1, 3, 120, 120)] * 2
    assert data.smallest_batch == 1
    torch.testing.assert_close(data.make_batch(3), once.make_batch(1))
    wide = data.make_batch(4)
    pixels = training_pixels(wide)
    assert pixels <= set(map(tuple, np.argwhere(data.keyframes.masks[0] & ~data.held_out[0])))
    inner = wide["mask"][:, 0, 1:] & wide["mask"][:, 0, :-1]
    styled = (wide["styled"][:, 0] + 1) * 127.5
    assert (styled[:, 1:] - styled[:, :-1])[inner].round().unique().tolist() == [1], "no pixel is left out"


def test_patches_far_larger_than_keyframes_are_refused():
    with pytest.raises(ParameterError) as caught:
        KeyframesDataModule(keyframes(), patch=513)
    assert caught.value.name == "patch"


def test_several_scales_of_whole_keyframes_are_refused():
    with pytest.raises(ParameterError) as error:
        KeyframesDataModule(keyframes(), patch=None, scales=[1.0, 0.5])
    assert (error.value.name, error.value.found) == ("scales", "[1.0, 0.5]")


def test_an_empty_list_of_scales_raises():
    with pytest.raises(ParameterError) as error:
        KeyframesDataModule(keyframes(), scales=[])
    assert error.value.name == "scales"


@pytest.mark.parametrize(
    ("patch", "options", "sizes"),
    [
        (97, {}, (97, 96)),
        (48, {"scales": [1.0, 0.25]}, (192, 96)),
    ],
)
def test_patches_larger_than_keyframes_are_a_warning(caplog, patch, options, sizes):
    KeyframesDataModule(ramps(), patch=96 if patch == 97 else 24, batch_size=4, **options)
    assert not caplog.records
    KeyframesDataModule(ramps(), patch=patch, batch_size=4, **options)
    assert [(record.levelname, record.args) for record in caplog.records] == [("WARNING", sizes)]


def test_a_share_of_the_patches_is_at_the_mask_s_edge(caplog):
    given_ = ramps()
    far = np.ones((44, 70), bool)
    far[5:-5, 5:-5] = False  # within 5 pixels of the outside
    data = KeyframesDataModule(
        given_, patch=1, batch_size=3, holdout=0.0, erosion=0, edge_share=0.5, edge_width=5.0, seed=4
    )
    centres = [((data.make_batch(step)["styled"][:, :2, 0, 0] + 1) * 127.5).round().long() for step in range(200)]
    near = np.concatenate([far[y - 6, x - 10] for y, x in (c.T.numpy() for c in centres)])
    # Half of the patches, and the usual share of the others.
    assert abs(near.mean() - (0.5 + 0.5 * far.mean())) < 0.03
    edges = np.concatenate([c.numpy()[-(((step + 1) * 3) // 2 - (step * 3) // 2) :] for step, c in enumerate(centres)])
    assert far[edges[:, 0] - 6, edges[:, 1] - 10].all()
    assert len(edges) == 300
    assert len(caplog.records) == 1, "only that there is no holdout"


def test_edge_share_without_an_edge_is_a_warning(caplog):
    given_ = keyframes(count=1)
    given_.masks[:] = True
    plain = KeyframesDataModule(given_, patch=8, batch_size=4, holdout=0.0)
    with caplog.at_level(logging.WARNING):
        data = KeyframesDataModule(given_, patch=8, batch_size=4, holdout=0.0, edge_share=0.5)
    assert len(caplog.records) == 3, "no holdout, twice, and no edge"
    torch.testing.assert_close(data.make_batch(3), plain.make_batch(3))


def test_without_a_patch_size_batches_are_whole_keyframes():
    given_ = keyframes(count=3, channels=5)
    data = KeyframesDataModule(given_, patch=None, batch_size=1, holdout=0.1)
    batches = [data.make_batch(step) for step in range(6)]
    assert batches[0]["frame"].shape == (1, 5, 60, 80)
    assert batches[0]["other"].shape == (1, 3, 60, 80)
    whole = torch.from_numpy(given_.styled).permute(0, 3, 1, 2) / 127.5 - 1
    drawn = [int((whole - batch["styled"]).abs().amax(dim=(1, 2, 3)).argmin()) for batch in batches]
    assert sorted(drawn[:3]) == sorted(drawn[3:]) == [0, 1, 2], "each once per pass"
    for batch, k in zip(batches, drawn, strict=True):
        torch.testing.assert_close(batch["styled"][0], whole[k])
        np.testing.assert_array_equal(batch["mask"][0, 0], given_.masks[k] & ~data.held_out[k])
    assert data.held_out.any()
    measured = list(data.val_dataloader()[0])
    assert all(batch["frame"].shape == (1, 5, 60, 80) for batch in measured)
    assert sum(int(batch["mask"].sum()) for batch in measured) == data.held_out.sum()


def test_whole_keyframes_may_be_held_out():
    data = KeyframesDataModule(keyframes(count=3), patch=None, batch_size=2, holdout_keyframes=["0010"])
    batches = [data.make_batch(step) for step in range(4)]
    ((measured,),) = data.val_dataloader()
    torch.testing.assert_close(
        measured["styled"][0], torch.from_numpy(data.keyframes.styled[1]).permute(2, 0, 1) / 127.5 - 1
    )
    assert all(not torch.equal(frame, measured["styled"][0]) for batch in batches for frame in batch["styled"])
