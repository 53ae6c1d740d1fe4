import json
from functools import partial

import cv2
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from renaming import renamed

from dreaming.clip.annotations import References
from dreaming.data.augment import ColorJitter, GeometricAugmentation
from dreaming.data.segmentation import SegmentationDataModule
from dreaming.errors import ConfigError
from dreaming.imaging.colour_statistics import NEUTRAL, measure
from dreaming.models.segmentation import SegmentationModule
from dreaming.networks.cnn import CNN
from dreaming.networks.unet import UNet

SIZE = (36, 50)


@pytest.fixture(scope="module")
def references():
    """A red disc on its way over a blue, noisy backdrop."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (4, *SIZE, 3), dtype=np.uint8)
    images[..., 2] += 120
    masks = np.zeros((4, *SIZE), np.uint8)
    for k in range(4):
        cv2.circle(masks[k], (10 + 9 * k, 18), 8, 1, -1)
    images[masks > 0] = images[masks > 0][:, ::-1]
    return References(tuple(f"{k:04}" for k in range(4)), images, masks > 0)


def make(network=None, **settings):
    settings = {"lr": 1e-2, "loss_weights": {"bce": 1.0, "dice": 1.0}, "statistics": NEUTRAL} | settings
    return SegmentationModule(
        network=network or partial(UNet, depth=2, width=4), optimizer=torch.optim.AdamW, **settings
    )


def data(references, **settings):
    settings = {"crop": 24, "batch_size": 4, "steps_per_epoch": 4} | settings
    settings |= {
        "geometry": GeometricAugmentation(flip_horizontal=0.5, affine=0.5, rotation=20),
        "color_jitter": ColorJitter(colour=0.1),
    }
    return SegmentationDataModule(
        references.without(["0002"]), references.select(["0002"]), measure(references.images), **settings
    )


def trainer(folder, **settings):
    return pl.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        default_root_dir=folder, **settings,
    )  # fmt: skip


def test_learns_a_disc_and_logs_every_score(references, tmp_path):
    pl.seed_everything(0, verbose=False)
    module = make(statistics=measure(references.images))
    run = trainer(tmp_path, max_epochs=20, check_val_every_n_epoch=20, enable_checkpointing=False)
    run.fit(module, data(references))
    logged = run.callback_metrics
    assert logged["val/jaccard"] > 0.95
    assert logged["val/boundary_f"] > 0.95
    assert logged["val/accuracy"] > 0.99
    assert logged["train/loss"] == pytest.approx(float(logged["train/loss/bce"] + logged["train/loss/dice"]), rel=1e-4)
    assert {"val/loss", "val/loss/bce", "val/loss/dice"} <= set(logged)


def test_a_resumed_run_ends_as_one_that_was_never_cut_off(references, tmp_path):
    def run(name, steps, checkpoint=None):
        pl.seed_everything(1, verbose=False)
        module = make(statistics=measure(references.images))
        keep = ModelCheckpoint(tmp_path / name, save_last=True, every_n_train_steps=2, save_top_k=0)
        trainer(tmp_path, max_steps=steps, callbacks=[keep]).fit(
            module, data(references), ckpt_path=checkpoint, weights_only=True
        )
        return module.state_dict(), tmp_path / name / "last.ckpt"

    whole, _ = run("whole", 10)
    _, checkpoint = run("first", 6)  # in the middle of the second epoch
    resumed, last = run("second", 10, checkpoint)
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=1e-5, atol=1e-6, msg=name)
    loaded = torch.load(last, weights_only=True)["state_dict"]
    fresh = make()
    fresh.load_state_dict(loaded)
    torch.testing.assert_close(fresh.mean, torch.tensor(measure(references.images).mean).float())


@pytest.mark.parametrize("padding", ["none", "zero"])
@pytest.mark.parametrize("short_side", [None, 19])
@pytest.mark.parametrize("kind", ["unet", "cnn"])
@pytest.mark.parametrize("tile", [None, 32])
def test_frames_of_any_size_get_logits_of_their_size(kind, padding, short_side, tile):
    network = partial(UNet, depth=3, width=2) if kind == "unet" else partial(CNN, num_layers=3, intermediate_channels=2)
    module = make(partial(network, padding=padding), short_side=short_side, tile=tile, overlap=8, flip=True).eval()
    for size in [(37, 53), (9, 80)]:
        found = module.predict_probability(torch.rand(2, 3, *size))
        assert found.shape == (2, 1, *size)
        assert found.dtype == torch.float32
        assert 0 <= found.min() <= found.max() <= 1


@pytest.mark.parametrize("padding", ["none", "zero"])
def test_tiles_agree_with_the_whole_frame_away_from_seams(padding):
    torch.manual_seed(0)
    module = make(partial(UNet, depth=2, width=8, padding=padding))
    image = torch.rand(1, 3, 150, 170)
    module.train()
    for _ in range(3):  # so that the batch norm has something to remember
        module(image[..., :76, :76])
    module.eval()
    whole = module.predict_probability(image)
    module.tile, module.overlap = 80, 40
    parts = module.predict_probability(image)
    away = torch.ones(150, 170, dtype=torch.bool)
    if padding == "zero":  # tiles begin at 0, 40, 72 and 0, 40, 80, 92: what lies near their ends is a seam
        away[:] = False
        away[:24, :24] = True
    assert (whole - parts).abs()[0, 0][away].max() < 1 / 255


def test_valid_convolutions_see_the_mirrored_frame_around_it():
    module = make(partial(CNN, padding="none", num_layers=2, kernel_size=3, positional_encoding="none")).eval()
    image = torch.rand(1, 3, 12, 14)
    expected = module(torch.nn.functional.pad(image, (2, 2, 2, 2), mode="reflect"))
    torch.testing.assert_close(module.predict_logits(image), expected)


def test_colours_are_normalised_by_the_clips_statistics(references):
    statistics = measure(references.images)
    seen = []
    module = make(partial(CNN, padding="zero"), statistics=statistics)
    module.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module(torch.from_numpy(references.images).movedim(3, 1) / 255)
    torch.testing.assert_close(seen[0].mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(seen[0].var(dim=(0, 2, 3), unbiased=False), torch.ones(3), atol=1e-3, rtol=0)


def test_flip_averages_over_the_mirrored_frame_at_its_true_place():
    class Where(torch.nn.Module):
        margin, multiple, residue = 0, 1, 0

        def __init__(self, in_channels):
            super().__init__()

        def forward(self, image, positions):
            return image[:, :1] + 10 * positions[:, :1]

    image = torch.rand(1, 3, 4, 6)
    plain, flipped = (make(Where, flip=flip).predict_logits(image) for flip in (False, True))
    torch.testing.assert_close(plain, flipped)


def test_crops_are_cut_to_what_valid_convolutions_take(references):
    module = make(partial(UNet, depth=2, width=2, padding="none"))
    batches = data(references, crop=55)
    loss = module.training_step(batches.on_after_batch_transfer(batches.make_batch(0)), 0)
    assert loss.isfinite()
    batches = data(references, crop=40)
    with pytest.raises(ConfigError) as caught:
        module.training_step(batches.on_after_batch_transfer(batches.make_batch(0)), 0)
    assert (caught.value.where, caught.value.found) == ("data.segmentation.crop", "40 pixels")


def test_only_the_weighted_terms_count():
    torch.manual_seed(0)
    network = partial(CNN, norm="none")
    batch = {
        "image": torch.rand(1, 3, 8, 8),
        "mask": torch.rand(1, 1, 8, 8).round(),
        "coordinates": torch.zeros(1, 2, 8, 8),
    }
    losses = {}
    for name, weights in {"bce": {"bce": 1}, "dice": {"dice": 1}, "both": {"bce": 2, "dice": 0.5}}.items():
        torch.manual_seed(0)
        losses[name] = make(network, loss_weights=weights).training_step(batch, 0).item()
    assert losses["both"] == pytest.approx(2 * losses["bce"] + 0.5 * losses["dice"], rel=1e-5)


def test_evidence_reaches_the_network_beside_the_picture_at_its_resolution():
    class Where(torch.nn.Module):
        margin, multiple, residue = 0, 1, 0

        def __init__(self, in_channels):
            super().__init__()
            assert in_channels == 5

        def forward(self, image, positions):
            return image[:, 4:5]

    features = torch.rand(1, 2, 8, 12)
    logits = make(Where, features=2).predict_logits(torch.rand(1, 3, 4, 6), features)
    expected = torch.nn.functional.interpolate(features[:, 1:], (4, 6), mode="bilinear", antialias=True)
    torch.testing.assert_close(logits, expected)


class Silent(torch.nn.Module):
    """A network without padding that says nothing."""

    margin, multiple, residue, min_size = 1, 1, 0, 3

    def __init__(self, in_channels):
        super().__init__()

    def forward(self, image, positions):
        return 0 * image[:, :1, 1:-1, 1:-1]


def test_a_network_corrects_the_mask_that_it_is_given_at_that_masks_resolution():
    module, features = make(Silent, features=2, prior=1, short_side=4), torch.rand(1, 2, 24, 36)
    logits = module.predict_logits(torch.rand(1, 3, 12, 18), features)
    mask = torch.nn.functional.interpolate(features[:, 1:], (12, 18), mode="bilinear", antialias=True)
    torch.testing.assert_close(logits, 0.5 * mask.clamp(0.01, 0.99).logit())
    crops = module(torch.cat([torch.rand(1, 3, 24, 36), features], dim=1))
    torch.testing.assert_close(crops, 0.5 * features[:, 1:, 1:-1, 1:-1].clamp(0.01, 0.99).logit())


def test_how_much_that_mask_counts_is_learnt():
    module, features = make(Silent, features=1, prior=0), (torch.rand(1, 1, 8, 8) > 0.5).float()
    batch = {
        "image": torch.rand(1, 3, 8, 8),
        "features": features,
        "mask": features,
        "coordinates": torch.zeros(1, 2, 8, 8),
    }
    module.training_step(batch, 0).backward()
    assert module.prior_weight.grad < 0
    assert not hasattr(make(Silent, features=1), "prior_weight")


DEEP = {
    "dilated": (partial(CNN, kernel_size=5, num_layers=4, dilation=2, padding="reflection"), 17),
    "lost": (partial(CNN, kernel_size=5, num_layers=3, padding="none"), 13),
    "halved": (partial(UNet, width=2, depth=3, padding="reflection"), 16),
    "lost and halved": (partial(UNet, width=2, depth=3, padding="none"), 92),
    "zero": (partial(UNet, width=2, depth=3, padding="zero"), 8),
}


@pytest.mark.parametrize("name", DEEP)
def test_the_least_crop_is_the_smallest_that_can_be_learnt_from(name, references):
    network, min_size = DEEP[name]
    module = make(network)
    module.check_sides(min_size, (min_size, 2 * min_size))
    batches = data(references, crop=min_size, batch_size=2)
    assert module.training_step(batches.on_after_batch_transfer(batches.make_batch(0)), 0).isfinite()
    with pytest.raises(ConfigError) as caught:
        module.check_sides(min_size - 1, (min_size, min_size))
    assert (caught.value.where, caught.value.found) == ("data.segmentation.crop", f"{min_size - 1} pixels")
    module.check_sides(512, (min_size, min_size))
    with pytest.raises(ConfigError) as caught:
        module.check_sides(4096, (min_size, min_size))
    assert (caught.value.where, caught.value.found) == ("data.segmentation.crop", "4096 pixels")


def test_frames_and_tiles_that_a_network_cannot_reflect_the_border_of_are_refused():
    network, min_size = DEEP["dilated"]
    for key, where in (("short_side", "data.segmentation.short_side"), ("tile", "tile")):
        with pytest.raises(ConfigError) as caught:
            make(network, **{key: 16}).check_sides(min_size, (32, 48))
        assert (caught.value.where, caught.value.found) == (where, "16 pixels")
    with pytest.raises(RuntimeError, match="Padding size"):
        make(network).predict_logits(torch.rand(1, 3, 16, 48))
    make(DEEP["lost"][0]).check_sides(None, (2, 3))
    make(DEEP["lost"][0]).predict_logits(torch.rand(1, 3, 2, 3))


def test_load_from_checkpoint_restores_network_and_hyperparameters(references, tmp_path):
    network = partial(CNN, num_layers=2, intermediate_channels=3, positional_encoding="sin")
    module = SegmentationModule(
        network=partial(network, kernel_size=5), optimizer=partial(torch.optim.AdamW, weight_decay=0.5), lr=0.02,
        loss_weights={"dice": 2.0}, features=1, prior=0, flip=True, short_side=16,
        statistics=measure(references.images),
    )  # fmt: skip
    fitting = trainer(tmp_path, max_steps=1)
    fitting.strategy.connect(module)
    fitting.save_checkpoint(tmp_path / "model.ckpt")
    stored = torch.load(tmp_path / "model.ckpt", weights_only=True)["hyper_parameters"]
    assert "dreaming" not in json.dumps(stored)
    with renamed(CNN):
        loaded = SegmentationModule.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    assert (type(loaded), type(loaded.network)) == (SegmentationModule, CNN)
    torch.testing.assert_close(loaded.state_dict(), module.state_dict(), rtol=0, atol=0)
    image, features = torch.rand(1, 3, 20, 24), torch.rand(1, 1, 20, 24)
    found, expected = (each.eval().predict_logits(image, features) for each in (loaded, module))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert loaded.configure_optimizers().defaults["weight_decay"] == 0.5
    assert (loaded.lr, loaded.loss_weights, loaded.short_side) == (0.02, {"dice": 2.0}, 16)
