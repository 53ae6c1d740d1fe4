"""Training crops and validation frames of the segmentation datamodule, pixel by pixel."""

import numpy as np
import pytest
import torch

from dreaming.clip.annotations import References
from dreaming.data.augment import ColorJitter, GeometricAugmentation
from dreaming.data.segmentation import SegmentationDataModule, foreground_pixels, stack_frames
from dreaming.errors import MaskError
from dreaming.imaging.colour_statistics import measure
from dreaming.networks.position import coordinates


@pytest.fixture
def references():
    """Three frames of 40 x 60 whose colours encode column (red), row (green) and frame (blue)."""
    rows, columns = np.mgrid[:40, :60]
    images = np.stack([np.dstack([columns * 4, rows * 6, np.full_like(rows, 100 * k)]) for k in range(3)])
    masks = np.zeros((3, 40, 60), bool)
    masks[:2, 5:15, 10:20] = True
    return References(("0001", "0002", "0003"), images.astype(np.uint8), masks)


def make(references, valid=None, **settings):
    settings = {"crop": 16, "batch_size": 32, "overhang": 0.0} | settings
    return SegmentationDataModule(references, valid, measure(references.images), **settings)


def test_crops_are_cut_from_frames_and_masks(references):
    data = make(references)
    crops = data.make_batch(3)
    assert crops["pixels"].shape == (32, 16, 16, 4)
    assert crops["pixels"].dtype == torch.uint8
    for pixels, (top, left) in zip(crops["pixels"].numpy(), crops["origin"].tolist(), strict=True):
        frame = pixels[0, 0, 2] // 100
        cut = (frame, slice(top, top + 16), slice(left, left + 16))
        assert (pixels[..., :3] == references.images[cut]).all()
        assert (pixels[..., 3] == references.masks[cut] * 255).all()


def test_coordinates_follow_the_pixels_through_every_geometry(references):
    geometry = GeometricAugmentation(
        flip_horizontal=0.5, flip_vertical=0.5, quarter_turns=0.5, affine=1.0, rotation=20, zoom=0.2, shear=5,
        elastic=0.5, elastic_std=1.0, spacing=8,
    )  # fmt: skip
    data = make(references, crop=12, geometry=geometry)
    sample = data.on_after_batch_transfer(data.make_batch(0))
    assert {key: tuple(value.shape) for key, value in sample.items()} == {
        "image": (32, 3, 12, 12),
        "mask": (32, 1, 12, 12),
        "coordinates": (32, 2, 12, 12),
    }
    x, y = sample["coordinates"][:, 0], sample["coordinates"][:, 1]
    inside = (x.abs() < 0.49) & (y.abs() < 0.48)
    assert inside.float().mean() > 0.7
    column, row = (x + 0.5) * 60 - 0.5, (y + 0.5) * 40 - 0.5
    torch.testing.assert_close(sample["image"][:, 0][inside] * 255 / 4, column[inside], atol=0.02, rtol=0)
    torch.testing.assert_close(sample["image"][:, 1][inside] * 255 / 6, row[inside], atol=0.02, rtol=0)
    # The mask is sampled at the same coordinates.
    subject = (column > 9.5) & (column < 19.5) & (row > 4.5) & (row < 14.5) & (sample["image"][:, 2] < 0.5)
    edge = (
        ((column - 9.5).abs() < 0.6)
        | ((column - 19.5).abs() < 0.6)
        | ((row - 4.5).abs() < 0.6)
        | ((row - 14.5).abs() < 0.6)
    )
    clear = inside & ~edge
    assert (sample["mask"][:, 0][clear] == subject[clear]).all()
    assert set(sample["mask"].unique().tolist()) == {0.0, 1.0}


def test_crops_without_augmentation_have_the_coordinates_of_their_frame(references):
    data = make(references)
    crops = data.make_batch(0)
    sample = data.augmented(crops)
    top, left = crops["origin"][0].tolist()
    torch.testing.assert_close(sample["coordinates"][:1], coordinates((16, 16), (40, 60), (top, left)))
    torch.testing.assert_close(sample["image"][0], crops["pixels"][0, ..., :3].movedim(2, 0) / 255)


def test_share_of_crops_on_the_subject(references):
    def on_subject(share):
        data = make(references, foreground_share=share, foreground_margin=0, crop=5, batch_size=600)
        return data.make_batch(0)["pixels"][:, 2, 2, 3].bool().float().mean().item()

    everywhere = 200 / 7200
    # The third frame has no subject: its crops lie anywhere.
    assert on_subject(0.0) == pytest.approx(everywhere, abs=0.03)
    assert on_subject(1.0) == pytest.approx(2 / 3, abs=0.06)
    assert on_subject(0.5) == pytest.approx((2 / 3 + everywhere) / 2, abs=0.06)


def test_foreground_pixels_include_the_margin():
    mask = np.zeros((20, 20), bool)
    mask[10, 10] = True
    indices = foreground_pixels(mask, 3)
    assert set(indices.tolist()) == {
        20 * y + x for y in range(20) for x in range(20) if np.hypot(y - 10, x - 10) <= 3.001
    }
    assert len(foreground_pixels(np.zeros((4, 4), bool), 3)) == 0


def test_overhang_and_crops_larger_than_the_frame_are_mirrored(references):
    data = make(references, crop=64, overhang=0.25)
    crops = data.make_batch(1)
    top, left = crops["origin"][0].tolist()
    frame = int(crops["pixels"][0, 0, 0, 2]) // 100
    wide = np.pad(references.images[frame], ((80, 80), (80, 80), (0, 0)), mode="reflect")
    assert (crops["pixels"][0, ..., :3].numpy() == wide[80 + top : 144 + top, 80 + left : 144 + left]).all()
    data = make(references, crop=16, overhang=0.25, batch_size=400)
    tops, lefts = data.make_batch(0)["origin"].T.tolist()
    assert (min(tops), max(tops), min(lefts), max(lefts)) == (-4, 28, -4, 48)


def test_batches_depend_on_seed_and_step_only(references):
    color_jitter = ColorJitter(colour=0.1, brightness=0.1, contrast=0.1, gamma=0.1)

    def sample(step, seed=0):
        data = make(
            references, geometry=GeometricAugmentation(flip_horizontal=0.5), color_jitter=color_jitter, seed=seed
        )
        return data.on_after_batch_transfer(data.make_batch(step))["image"]

    assert torch.equal(sample(5), sample(5))
    assert not torch.equal(sample(5), sample(6))
    assert not torch.equal(sample(5), sample(5, seed=1))


def test_validation_yields_whole_frames_at_full_resolution(references):
    data = make(references, valid=references.select(["0002", "0003"]), short_side=20, valid_batch=2)
    (batch,) = data.val_dataloader()
    sample = data.on_after_batch_transfer(batch)
    expected = torch.from_numpy(references.images[1:]).movedim(3, 1) / 255
    torch.testing.assert_close(sample["image"], expected)
    assert (sample["mask"][:, 0].numpy() == references.masks[1:]).all()
    torch.testing.assert_close(sample["coordinates"][1:], coordinates((40, 60)))
    assert make(references).val_dataloader() == []


def test_training_frames_are_reduced_by_averaging(references):
    pixels = stack_frames(references, (20, 30))
    assert pixels.shape == (3, 20, 30, 4)
    blocks = references.images.reshape(3, 20, 2, 30, 2, 3).mean(axis=(2, 4))
    assert np.abs(pixels[..., :3].numpy() - blocks).max() <= 1
    assert set(np.unique(pixels[..., 3])) == {0, 255}
    assert (pixels[0, 3:7, 5:10, 3] == 255).all()


def test_masks_of_one_class_are_rejected(references):
    with pytest.raises(MaskError) as caught:
        make(references.select(["0003"]))
    assert caught.value.where == "0003"
    full = References(references.stems, references.images, np.ones_like(references.masks))
    with pytest.raises(MaskError) as caught:
        make(full)
    assert caught.value.where == "0001, 0002, 0003"


def test_features_are_sampled_like_the_image(references):
    """Each version is the frame's own colours plus its number, so that it must agree with the crop wherever it lies."""
    geometry = GeometricAugmentation(flip_horizontal=0.5, quarter_turns=0.5, affine=1.0, rotation=20, zoom=0.2, shear=5)
    features = [
        np.stack([image[..., :2] / 255 + version for version in range(count)]).astype(np.float16)
        for image, count in zip(references.images, (1, 3, 2), strict=True)
    ]
    data = make(references, crop=12, batch_size=64, geometry=geometry, features=features)
    sample = data.on_after_batch_transfer(data.make_batch(0))
    assert sample["features"].shape == (64, 2, 12, 12)
    versions = (sample["features"][:, 0] - sample["image"][:, 0]).mean(dim=(1, 2)).round()
    torch.testing.assert_close(
        sample["features"] - versions[:, None, None, None], sample["image"][:, :2], atol=0.003, rtol=0
    )
    frames = (sample["image"][:, 2].mean(dim=(1, 2)) * 255 / 100).round()
    seen = {(frame, version) for frame, version in zip(frames.tolist(), versions.tolist(), strict=True)}
    assert seen == {(0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)}


def test_features_are_resized_for_crops_and_kept_for_whole_frames(references):
    maps = [np.full((1, 20, 30, 1), k, np.float32) for k in range(3)]
    data = make(references, valid=references, features=maps, valid_features=[each[0] for each in maps], valid_batch=3)
    assert data.features.shape == (3, 40, 60, 1)
    (batch,) = data.val_dataloader()
    sample = data.on_after_batch_transfer(batch)
    assert sample["features"].shape == (3, 1, 20, 30)
    assert sample["features"].mean(dim=(1, 2, 3)).tolist() == [0, 1, 2]


def test_devices_gather_and_augment_only_their_share_of_one_batch(references):
    class Trainer:
        world_size, global_rank = 1, 0

    features = [np.random.default_rng(k).random((2, 40, 60, 1), np.float32) for k in range(3)]
    geometry = GeometricAugmentation(flip_horizontal=0.5, affine=0.5, rotation=20, elastic=0.5, elastic_std=2.0)
    jitter = ColorJitter(colour=0.1, brightness=0.1, contrast=0.2, gamma=0.2)
    data = make(references, batch_size=7, geometry=geometry, color_jitter=jitter, features=features)
    whole = data.augmented(data.make_batch(5))
    data.trainer, Trainer.world_size = Trainer(), 3
    for rank in range(3):
        Trainer.global_rank = rank
        crops = data.make_batch(5)
        assert len(crops["pixels"]) == len(crops["features"]) == len(range(rank, 7, 3))
        share = data.on_after_batch_transfer(crops)
        for name, values in whole.items():
            torch.testing.assert_close(share[name], values[rank::3], msg=name)
