import json
import logging
import os
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import Callback
from renaming import renamed
from torchmetrics.functional.image import structural_similarity_index_measure as ssim

from dreaming.clip.annotations import Keyframes
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.errors import WeightsError
from dreaming.models.style import StyleModule
from dreaming.networks.fast_generator import FastGenerator
from dreaming.networks.patch_discriminator import PatchDiscriminator
from dreaming.networks.style_generator import StyleGenerator
from dreaming.networks.vgg import Vgg19Features
from dreaming.training.callbacks import FitTimer

WEIGHTS = {"pixel": 4.0, "structure": 1.0, "adversarial": 0.5, "matching": 6.0}
FILTERS = (8, 8, 8, 8, 8, 8)
OPTIMIZER = partial(torch.optim.Adam, betas=(0.9, 0.999), weight_decay=1e-5)


class Noisy(StyleGenerator):
    """A generator that draws random numbers in training."""

    def forward(self, frame):
        return super().forward(frame) + 0.01 * torch.randn(1) * self.training


def module(blocks=1, filters=FILTERS, lr=4e-3, loss_weights=WEIGHTS, seed=0, generator=StyleGenerator, **options):
    torch.manual_seed(seed)
    return StyleModule(
        generator=partial(generator, filters=filters, blocks=blocks),
        discriminator=partial(PatchDiscriminator, filters=4),
        optimizer=OPTIMIZER,
        lr=lr,
        loss_weights=loss_weights,
        **options,
    )


def data(**options):
    """Two noisy keyframes; the style swaps their colour channels."""
    rng = np.random.default_rng(0)
    sources = rng.integers(0, 256, (2, 12, 16, 3), dtype=np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    keyframes = Keyframes(("0001", "0010"), sources, sources[..., ::-1].copy(), np.ones((2, 48, 64), dtype=bool))
    return KeyframesDataModule(keyframes, **{"patch": 16, "batch_size": 8, "steps_per_epoch": 5} | options)


def trainer(folder, steps, *callbacks, **options):
    return pl.Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        **options,
    )


class Record(Callback):
    """Keep the logged values and the frames of each step."""

    def __init__(self):
        self.logged, self.frames = [], []

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        self.logged.append({name: float(value) for name, value in trainer.callback_metrics.items()})
        self.frames.append(batch["frame"])


@pytest.mark.slow
def test_a_short_training_swaps_colours(tmp_path):
    record, model = Record(), module()
    trainer(tmp_path, 60, record, check_val_every_n_epoch=6).fit(model, data())
    first, last = record.logged[0], record.logged[-1]
    assert last["train/loss/pixel"] < first["train/loss/pixel"] * 0.6
    assert last["val/loss"] < 0.2
    assert 0 < last["val/likeness"] <= 1
    assert last["val/crispness"] > 0.3
    assert 0 < last["val/stroke_distance"] < 1
    assert set(last) >= {f"train/loss/{name}" for name in (*WEIGHTS, "discriminator")}


def test_the_logged_loss_is_the_weighted_sum_of_the_generators_terms(tmp_path):
    record = Record()
    trainer(tmp_path, 1, record).fit(module(), data())
    logged = record.logged[0]
    expected = sum(weight * logged[f"train/loss/{name}"] for name, weight in WEIGHTS.items())
    assert logged["train/loss"] == pytest.approx(expected, rel=1e-5)


def test_one_step_equals_two_optimisers_and_two_backward_passes(tmp_path):
    # With SGD, because Adam's first step is the sign of the gradient, which may be a rounding error.
    batch, model, slow = data().make_batch(0), module(lr=0.1), module(lr=0.1)
    model.optimizer = torch.optim.SGD
    trainer(tmp_path, 1).fit(model, data())

    slow.train()
    generator_optimizer = torch.optim.SGD(slow.generator.parameters(), lr=0.1)
    discriminator_optimizer = torch.optim.SGD(slow.discriminator.parameters(), lr=0.1)
    generated = torch.where(batch["mask"], slow.generator(batch["frame"]), batch["styled"])
    predictions, features = slow.discriminator(generated)
    targets = [maps.detach() for maps in slow.discriminator(batch["styled"])[1]]
    matching = torch.stack([(a - b).abs().mean() for a, b in zip(features, targets, strict=True)]).mean()
    pixel = (generated - batch["styled"]).abs().mean()
    likeness = ssim((generated + 1) / 2, (batch["styled"] + 1) / 2, data_range=1.0, return_full_image=True)[1]
    structure = 1 - likeness[..., 5:-5, 5:-5].mean()
    (4 * pixel + structure + 0.5 * ((predictions - 1) ** 2).mean() + 6 * matching).backward()
    discriminator_optimizer.zero_grad()
    fake, real = slow.discriminator(generated.detach())[0], slow.discriminator(batch["other"])[0]
    (((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2).backward()
    generator_optimizer.step()
    discriminator_optimizer.step()
    torch.testing.assert_close(model.state_dict(), slow.state_dict(), atol=1e-5, rtol=1e-4)
    unchanged = module().state_dict()
    assert not any(torch.equal(unchanged[name], value) for name, value in slow.state_dict().items())


def test_the_generator_runs_once_a_step(tmp_path):
    calls, model = [], module()
    model.generator.register_forward_hook(lambda *_: calls.append(1))
    trainer(tmp_path, 3, limit_val_batches=0).fit(model, data())
    assert len(calls) == 3
    assert model.trainer.global_step == 3


def test_pixels_outside_the_mask_have_no_gradient():
    model, batch = module(loss_weights={"pixel": 4.0, "structure": 1.0}), data().make_batch(0)
    batch["mask"][:] = False
    generated = torch.where(batch["mask"], model(batch["frame"]), batch["styled"])
    sum(model._generator_terms(generated, batch["styled"]).values()).backward()
    assert not any(weight.grad.any() for weight in model.generator.parameters())


def test_validation_measures_the_masked_pixels_only(tmp_path):
    model, given = module(), data(batch_size=4)
    found = trainer(tmp_path, 1).validate(model, given, verbose=False)[0]
    model.eval()
    likeness, distance = [], []
    for batch in given.val_dataloader()[0]:
        with torch.no_grad():
            generated, styled = (model(batch["frame"]) + 1) / 2, (batch["styled"] + 1) / 2
        full = ssim(generated, styled, data_range=1.0, return_full_image=True)[1]
        mask = batch["mask"].expand_as(full)
        likeness.append(full[mask])
        distance.append((generated - styled).abs()[mask])
    assert len(likeness) > 1
    assert found["val/likeness"] == pytest.approx(float(torch.cat(likeness).mean()), abs=1e-5)
    assert found["val/loss"] == pytest.approx(float(torch.cat(distance).mean()), abs=1e-5)


def test_likeness_is_measured_in_full_precision(tmp_path):
    given = data()
    given.source._pixels = given.source._pixels // 16 + 120  # low contrast, the worst case for half precision
    found = {}
    for precision in ("32-true", "bf16-mixed"):
        model = module(loss_weights={"pixel": 1.0})
        model.generator.colour[0].weight.data *= 0.01  # nearly grey, so that only the metric can differ
        found[precision] = trainer(tmp_path, 1, precision=precision).validate(model, given, verbose=False)[0]
    assert found["bf16-mixed"]["val/likeness"] == pytest.approx(found["32-true"]["val/likeness"], abs=0.02)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    straight, first, second = Record(), Record(), Record()
    whole = module()
    trainer(tmp_path, 7, straight, limit_val_batches=0).fit(whole, data())
    begun = trainer(tmp_path, 5, first, limit_val_batches=0)
    begun.fit(module(), data())
    begun.save_checkpoint(tmp_path / "cut.ckpt")
    resumed = module(seed=9)
    trainer(tmp_path, 7, second, limit_val_batches=0).fit(
        resumed, data(), ckpt_path=tmp_path / "cut.ckpt", weights_only=True
    )
    torch.testing.assert_close(first.frames + second.frames, straight.frames)
    torch.testing.assert_close(resumed.state_dict(), whole.state_dict())


@pytest.fixture
def vgg(tmp_path):
    """Random weights in VGG-19's layout, a sixteenth as wide."""
    file = tmp_path / "vgg.pth"
    weights = {}
    for place, inputs, outputs in ((0, 3, 4), (2, 4, 4), (5, 4, 8)):
        weights |= {f"features.{place}.weight": torch.randn(outputs, inputs, 3, 3) / 5}
        weights |= {f"features.{place}.bias": torch.zeros(outputs)}
    torch.save(weights, file)
    return partial(Vgg19Features, weights=file, sha256=None, width=4)


def test_vgg_trains_the_generator_and_stays_out_of_checkpoints(tmp_path, vgg):
    weights = WEIGHTS | {"perceptual": 6.0}
    record, model = Record(), module(loss_weights=weights, vgg=vgg)
    begun = trainer(tmp_path, 2, record)
    begun.fit(model, data())
    begun.save_checkpoint(tmp_path / "model.ckpt")
    assert record.logged[0]["train/loss/perceptual"] > 0
    assert record.logged[0]["train/loss/matching"] > 0
    state = torch.load(tmp_path / "model.ckpt", weights_only=True)["state_dict"]
    assert {name.split(".")[0] for name in state} == {"generator", "discriminator"}
    module(loss_weights=weights, vgg=vgg).load_state_dict(state)


def test_vgg_is_a_metric_if_quality_needs_it(tmp_path, vgg):
    record, model = Record(), module(quality={"perceptual": 1.0}, vgg=vgg)
    trainer(tmp_path, 5, record).fit(model, data())
    assert "train/loss/perceptual" not in record.logged[0]
    assert float(model.trainer.callback_metrics["val/perceptual"]) > 0


def records(caplog, name):
    return [record for record in caplog.records if record.name == f"dreaming.models.{name}"]


@pytest.mark.parametrize("cached", [False, True])
def test_available_vgg_is_a_metric_and_changes_nothing_else(tmp_path, vgg, caplog, cached):
    if cached:  # downloaded before; the URL no longer works
        vgg = partial(Vgg19Features, url="file:///gone/vgg.pth", cache=tmp_path, width=4)
    plain = module(generator=Noisy)
    trainer(tmp_path, 5).fit(plain, data())
    tracked = module(generator=Noisy, vgg=vgg)
    begun = trainer(tmp_path, 5)
    begun.fit(tracked, data())
    assert not records(caplog, "perceptual")
    metrics = dict(begun.callback_metrics)
    assert float(metrics.pop("val/perceptual")) > 0
    torch.testing.assert_close(metrics, plain.trainer.callback_metrics, rtol=0, atol=0)
    torch.testing.assert_close(tracked.state_dict(), plain.state_dict(), rtol=0, atol=0)
    begun.save_checkpoint(tmp_path / "cut.ckpt")
    (tmp_path / "vgg.pth").unlink()
    resumed = trainer(tmp_path, 10)
    resumed.fit(module(vgg=vgg), data(), ckpt_path=tmp_path / "cut.ckpt", weights_only=True)
    assert "val/quality" in resumed.callback_metrics
    assert "val/perceptual" not in resumed.callback_metrics


def test_vgg_is_not_downloaded_as_a_metric_only(tmp_path, vgg, caplog):
    url = (tmp_path / "vgg.pth").as_uri()
    model = module(vgg=partial(Vgg19Features, url=url, cache=tmp_path / "cache", width=4))
    trainer(tmp_path, 5).fit(model, data())
    assert "val/perceptual" not in model.trainer.callback_metrics
    assert not (tmp_path / "cache").exists()
    assert not records(caplog, "perceptual")


def test_unreadable_vgg_weights_are_a_warning(tmp_path, vgg, caplog):
    (tmp_path / "vgg.pth").write_bytes(b"not weights")
    model = module(vgg=vgg)
    trainer(tmp_path, 5).fit(model, data())
    assert "val/perceptual" not in model.trainer.callback_metrics
    (record,) = records(caplog, "perceptual")
    assert record.levelno == logging.WARNING
    assert record.args[0] == str(tmp_path / "vgg.pth")


def vgg_of_one_process(folder, **options):
    """VGG whose weights only one of two processes has."""
    return Vgg19Features(weights=folder / f"vgg{os.environ['LOCAL_RANK']}.pth", sha256=None, width=4, **options)


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0, 1])
def test_vgg_of_one_process_does_not_block_the_other(tmp_path, vgg, missing):
    (tmp_path / "vgg.pth").rename(tmp_path / f"vgg{1 - missing}.pth")
    begun = trainer(tmp_path, 5, strategy="ddp_spawn", devices=2, use_distributed_sampler=False)
    begun.fit(module(vgg=partial(vgg_of_one_process, tmp_path)), data())
    assert "val/quality" in begun.callback_metrics
    assert "val/perceptual" not in begun.callback_metrics


def test_missing_vgg_weights_raise_in_training_only(tmp_path):
    absent = partial(Vgg19Features, weights=tmp_path / "absent.pth")
    model = module(loss_weights={"perceptual": 6.0}, vgg=absent)
    assert model.stylise(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 8, 8)
    with pytest.raises(WeightsError) as error:
        trainer(tmp_path, 1).fit(model, data())
    assert error.value.where == str(tmp_path / "absent.pth")


@pytest.mark.parametrize(
    ("weights", "built"),
    [
        ({"pixel": 4.0}, False),
        ({"pixel": 4.0, "adversarial": 0.0, "matching": 0.0}, False),
        ({"pixel": 4.0, "matching": 1.0}, True),
        ({"pixel": 4.0, "adversarial": 0.5}, True),
    ],
)
def test_the_discriminator_is_built_only_if_a_term_needs_it(tmp_path, weights, built):
    model, record = module(loss_weights=weights), Record()
    assert (model.discriminator is not None) == built
    trainer(tmp_path, 1, record, limit_val_batches=0).fit(model, data())
    assert ("train/loss/discriminator" in record.logged[0]) == built


def test_default_quality_is_likeness_times_a_low_power_of_sharpness(tmp_path):
    model, given = module(), data(batch_size=4)
    found = trainer(tmp_path, 1).validate(model, given, verbose=False)[0]
    model.eval()
    strokes = torch.zeros(2)
    for batch in given.val_dataloader()[0]:
        with torch.no_grad():
            images = [(image + 1) / 2 for image in (model(batch["frame"]), batch["styled"])]
        for index, image in enumerate(images):
            across, down = torch.zeros_like(image), torch.zeros_like(image)
            across[..., :-1] = image[..., 1:] - image[..., :-1]
            down[..., :-1, :] = image[..., 1:, :] - image[..., :-1, :]
            strokes[index] += (across**2 + down**2).sum(dim=1, keepdim=True).sqrt()[batch["mask"]].sum()
    assert found["val/sharpness"] == pytest.approx(float(strokes.min() / strokes.max()), abs=1e-4)
    assert found["val/quality"] == pytest.approx(found["val/likeness"] * found["val/sharpness"] ** 0.1, abs=1e-4)


def fast(**options):
    return StyleModule(
        generator=partial(FastGenerator, width=8, dilations=(1, 2), pixel_steps=20),
        optimizer=OPTIMIZER,
        lr=4e-3,
        loss_weights={"pixel": 4.0, "structure": 1.0},
        **options,
    )


def test_a_warm_start_fits_colours_before_the_first_step(tmp_path):
    cold, warm = fast(), fast()
    trainer(tmp_path, 0).fit(warm, data())
    losses = [trainer(tmp_path, 1).validate(model, data(), verbose=False)[0]["val/loss"] for model in (cold, warm)]
    assert losses[1] < 0.1 * losses[0]


def test_a_warm_start_logs_its_duration_once(tmp_path, caplog):
    with caplog.at_level("INFO", logger="dreaming.models.warm_start"):
        model = fast()
        trainer(tmp_path, 1).fit(model, data())
        trainer(tmp_path, 2).fit(model, data())
    (record,) = records(caplog, "warm_start")
    assert record.levelno == logging.INFO
    assert record.args[0] > 0


def test_a_warm_start_leaves_time_for_training(tmp_path):
    model, clock = fast(), FitTimer(timedelta(seconds=2))
    model.generator.pixel_steps = 10**9
    begun = time.monotonic()
    trainer(tmp_path, 10**9, clock, max_epochs=10**9).fit(model, data())
    assert 1.5 < clock.time_elapsed() <= time.monotonic() - begun < 20
    assert model.trainer.global_step > 0
    assert float(model.generator.warm) == 1


class Differing(FastGenerator):
    """A generator whose warm start differs between processes."""

    def warm_start(self, pictures, **more):
        super().warm_start(pictures, **more)
        torch.nn.init.constant_(self.head.leave.bias, 0.1 * int(os.environ["LOCAL_RANK"]))


class Ended(Callback):
    """Save the final state of each process."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_end(self, trainer, module):
        torch.save(module.state_dict(), self.folder / f"{trainer.global_rank}.pt")


@pytest.mark.slow
def test_all_processes_have_the_same_generator(tmp_path):
    model = fast()
    model.generator.__class__ = Differing
    options = {"strategy": "ddp_spawn", "devices": 2, "use_distributed_sampler": False}
    trainer(tmp_path, 4, Ended(tmp_path), **options).fit(model, data())
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, msg=name)


def pairs(count=2, side=16):
    """Pairs without motion; the later frames are darker."""
    before = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    visible = torch.ones(count, 1, side, side, dtype=torch.bool)
    motion = torch.zeros(count, 2, side, side)
    return {"before": before, "after": before - 0.5, "motion": motion, "visible": visible}


def probe():
    """The same pairs one by one."""
    return [{name: value[index : index + 1] for name, value in pairs().items()} for index in range(2)]


class ConstantPairs:
    """A source of the same pairs at each step."""

    def make_batch(self, step):
        return pairs()


def test_the_temporal_loss_reduces_flicker_and_costs_nothing_at_weight_0(tmp_path):
    flicker = {}
    for weight in (0.0, 50.0):
        given, calls, record = data(), [], Record()
        given.pairs, given.probe = ConstantPairs(), probe()
        model = module(loss_weights={"pixel": 1.0}, consistency=weight)
        model.generator.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        trainer(tmp_path, 25, record, limit_val_batches=0).fit(model, given)
        assert len(calls) == 25 * (2 if weight else 1)
        assert ("train/loss/consistency" in record.logged[0]) == bool(weight)
        flicker[weight] = trainer(tmp_path, 1).validate(model, given, verbose=False)[0]["val/flicker"]
    assert flicker[50.0] < 0.7 * flicker[0.0]


def test_the_flicker_of_the_probe_counts_in_quality(tmp_path):
    model, given = module(quality={"flicker": 0.5}), data(batch_size=4)
    given.probe = probe()
    found = trainer(tmp_path, 1).validate(model, given, verbose=False)[0]
    before, after = (model.stylise(pairs()[name]) for name in ("before", "after"))
    assert found["val/flicker"] == pytest.approx(float((after - before).abs().mean() / 0.5), rel=1e-3)
    assert found["val/quality"] == pytest.approx(found["val/likeness"] / (1 + found["val/flicker"]) ** 0.5, rel=1e-4)
    (sheet,) = model.draw_pair(probe()[0])
    assert sheet.shape == (16, 32, 3)


@pytest.mark.parametrize(("tile", "size"), [(24, (61, 75)), (30, (61, 75)), (16, (17, 90)), (100, (61, 75))])
def test_tiles_equal_the_whole_frame(tile, size):
    model = module(blocks=1).eval()
    frame = torch.rand(2, 3, *size) * 2 - 1
    whole = model.stylise(frame)
    model.tile = tile
    torch.testing.assert_close(model.stylise(frame), whole, atol=1e-5, rtol=0)
    model.overlap = 0
    assert (tile >= max(size)) == torch.allclose(model.stylise(frame), whole, atol=1e-3)


def test_stylise_does_not_change_statistics_and_mode():
    model = module(channels=6).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert model.stylise(torch.rand(1, 6, 9, 7)).shape == (1, 3, 9, 7)
    torch.testing.assert_close(model.state_dict(), before)
    assert model.generator.training


@pytest.mark.parametrize("weights", [WEIGHTS, {"pixel": 4.0}])
def test_load_from_checkpoint_restores_networks_and_hyperparameters(tmp_path, weights):
    model = module(loss_weights=weights, quality={"flicker": 0.5})
    fitting = trainer(tmp_path, 2, limit_val_batches=0)
    fitting.fit(model, data())
    fitting.save_checkpoint(tmp_path / "model.ckpt")
    stored = torch.load(tmp_path / "model.ckpt", weights_only=True)["hyper_parameters"]
    assert "dreaming" not in json.dumps(stored)
    with renamed(type(model.generator)):
        loaded = StyleModule.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    torch.testing.assert_close(loaded.state_dict(), model.state_dict())
    frame = data().make_batch(0)["frame"]
    torch.testing.assert_close(loaded.stylise(frame), model.stylise(frame))
    assert (loaded.lr, loaded.loss_weights) == (model.lr, model.loss_weights)
    assert loaded.quality == model.quality
    assert loaded.configure_optimizers().defaults["weight_decay"] == 1e-5
    trainer(tmp_path, 1, limit_val_batches=0).fit(loaded, data())


PUBLISHED = ["dreaming.*", "torch.optim.Adam"]
"""What its config names."""


def test_the_original_is_configured_as_published():
    folder = Path(__file__).parents[2] / "conf"
    files = {"model": "model/style.yaml", "data": "data/keyframes.yaml", "generator": "generator/fspbt.yaml"}
    loaded = {name: OmegaConf.load(folder / file) for name, file in files.items()}
    config = OmegaConf.create({"seed": 0, "guide": {}} | loaded)
    model = instantiate(config.model.module, _execution_whitelist_=PUBLISHED)(channels=4)
    assert {name: weight for name, weight in model.loss_weights.items() if weight} == {
        "pixel": 4.0, "adversarial": 0.5, "matching": 1.0
    }  # fmt: skip
    assert sum(p.numel() for p in model.generator.parameters()) > 1e6
    optimizer = model.configure_optimizers()
    assert [group["name"] for group in optimizer.param_groups] == ["generator", "discriminator"]
    assert {(group["lr"], group["betas"][1], group["weight_decay"]) for group in optimizer.param_groups} == {
        (4e-4, 0.999, 1e-5)
    }
    made = instantiate(config.data, _execution_whitelist_=PUBLISHED)(
        keyframes=data().keyframes, steps_per_epoch=3, seed=1
    )
    assert (made.patch, made.batch_size, made.erosion, made.steps_per_epoch, made.seed) == (32, 40, 7, 3, 1)
