"""Learning a painter's style from patches of a few keyframes, and applying it to frames of any size."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dreaming.data.frame_pairs import PairedSample, PairSample
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.data.patches import StyleSample
from dreaming.errors import ConfigError
from dreaming.io.types import Image
from dreaming.losses.style import (
    adversarial_loss,
    discriminator_loss,
    feature_distance,
    feature_matching,
    pixel_loss,
    structure_loss,
    unsteadiness,
)
from dreaming.models.perceptual import features_at_hand
from dreaming.models.style_inference import ReceptiveField, in_fitting_tiles, in_suited_precision
from dreaming.models.style_metrics import CompositeScore, StyleMetrics, flicker_of
from dreaming.models.warm_start import warm_start

TERMS = ("pixel", "structure", "adversarial", "matching", "perceptual")


class StyleModule(LightningModule):
    """Few-shot patch-based training, Texler et al. 2020, with any generator.

    The generator runs once a step, for its own loss and, detached, for the discriminator's. One optimiser holds both
    networks in two groups of parameters: Adam treats each parameter by itself, so this equals two optimisers, and the
    trainer counts one step a batch.

    Args:
        generator: Makes the generator: ``generator(channels=..., painted=...)``, with ``margin`` and ``multiple``.
        optimizer: Makes the optimiser: ``optimizer(groups, lr=...)``.
        lr: Learning rate.
        discriminator: Makes the discriminator: ``discriminator()``; called only where a term needs it.
        vgg: Makes the network of perceptual features before training: ``vgg()`` where they count, and where they do
            not, to track them if it can be had at no cost, ``vgg(download=False)``.
        loss_weights: What each term counts; one that is left out, nothing. ``pixel``: mean absolute difference;
            ``structure``: one minus SSIM; ``adversarial``: the discriminator's verdict; ``matching``: its features;
            ``perceptual``: VGG's features.
        consistency: What it counts that unpainted frames, stylised, differ from their predecessors along the flow; 0:
            nothing.
        quality: What makes the ``val/quality`` that tells the best checkpoint.
        channels: Of the frames: 3 and those of the guides.
        painted: First of each three channels that are a painted picture already.
        average: Decay of the moving average of the generator's weights, which then is what is judged and used; None:
            no average.
        noise: Standard deviation of the noise added to training frames, in grey levels, so that the sensor's own is
            not amplified into flicker.
        tile: Side in pixels of the tiles that a frame is cut into for inference; None: whole frames, or the largest
            tiles that fit where memory runs out.
        overlap: Pixels around a tile that are computed with it and thrown away; None: the generator's margin, which
            makes tiles equal to whole frames.
        channels_last: Lay features out channel by channel in memory; faster on most devices.

    Raises:
        ConfigError: If a loss term has no such name, or a number is out of its range.
    """

    kind: ClassVar[str] = "style_module"

    INFERENCE_ONLY: ClassVar[Mapping[str, object]] = {"tile": None, "overlap": None, "channels_last": True}
    """Arguments that training is the same with, and the value that stands for all."""

    def __init__(
        self,
        *,
        generator: Callable[..., nn.Module],
        optimizer: Callable[..., Optimizer],
        lr: float,
        discriminator: Callable[[], nn.Module] | None = None,
        vgg: Callable[..., nn.Module] | None = None,
        loss_weights: Mapping[str, float],
        consistency: float = 0.0,
        quality: CompositeScore = CompositeScore(),  # noqa: B008  # frozen
        channels: int = 3,
        painted: Sequence[int] = (),
        average: float | None = None,
        noise: float = 0.0,
        tile: int | None = None,
        overlap: int | None = None,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        _check(loss_weights)
        for key, value, fits, expected in (
            ("lr", lr, lr > 0, "above 0"),
            ("average", average, average is None or 0 <= average < 1, "a share of 0 to 1"),
            ("noise", noise, noise >= 0, "0 grey levels or more"),
            ("tile", tile, tile is None or tile >= 1, "1 pixel or more, or null"),
            ("overlap", overlap, overlap is None or overlap >= 0, "0 pixels or more, or null"),
        ):
            if not fits:
                raise ConfigError(f"model.style.module.{key}", found=str(value), expected=expected, hint="correct it")
        self.optimizer, self.lr, self.tile, self.overlap = optimizer, lr, tile, overlap
        self.loss_weights, self.noise = {**loss_weights, "consistency": consistency}, noise
        self.generator = generator(channels=channels, painted=painted)
        self.discriminator = None
        if self._counts("adversarial") or self._counts("matching"):
            assert discriminator is not None
            self.discriminator = discriminator()
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.generator.to(memory_format=self.layout)  # type: ignore[call-overload]  # in the docs, not in the stubs
        self.averaged: AveragedModel | None = None
        if average is not None:
            # Torch's own function cannot travel to other processes.
            averaging = functools.partial(_average, average)
            self.averaged = AveragedModel(self.generator, multi_avg_fn=averaging, use_buffers=True)
            self.averaged.requires_grad_(False)  # DDP waits for a gradient of whatever may have one
        self._make_vgg = vgg
        # In a list VGG is no submodule, so its 20 million weights stay out of checkpoints.
        self._vgg: list[nn.Module] = []
        self.quality, self.judge = quality, StyleMetrics()

    @property
    def eval_generator(self) -> nn.Module:
        """The generator that is validated and used: the averaged one where there is an average."""
        return self.generator if self.averaged is None else self.averaged.module

    def _counts(self, term: str) -> bool:
        return self.loss_weights.get(term, 0.0) > 0

    def configure_optimizers(self) -> Optimizer:
        """One optimiser with a group for each network; a schedule belongs to the fit, which knows the budget.

        Raises:
            ConfigError: If the optimiser refuses a value.
        """
        groups: list[dict[str, Any]] = [{"name": "generator", "params": list(self.generator.parameters())}]
        if self.discriminator is not None:
            groups.append({"name": "discriminator", "params": list(self.discriminator.parameters())})
        try:
            return self.optimizer(groups, lr=self.lr)
        except ValueError as error:
            raise ConfigError(
                "model.style.module.optimizer", found=str(error), expected="values it takes", hint="correct them"
            ) from error

    def on_fit_start(self) -> None:
        """Load VGG where it is needed or at hand, for training only; fit what of the generator needs no training.

        Raises:
            WeightsError: If VGG's weights are needed and cannot be had.
        """
        if self._counts("perceptual") or self.quality.perceptual:
            assert self._make_vgg is not None
            vgg: nn.Module | None = self._make_vgg()
        else:
            vgg = features_at_hand(self._make_vgg, self.trainer)
        self._vgg = [] if vgg is None else [vgg.to(self.device)]
        data = getattr(self.trainer, "datamodule", None)
        fitted = isinstance(data, KeyframesDataModule) and warm_start(self.generator, data.whole(), self.trainer)
        if fitted and self.averaged is not None:
            self.averaged.module.load_state_dict(self.generator.state_dict())

    def forward(self, frame: Tensor) -> Tensor:
        """Map (B, 3 + c, H, W) in -1..1 to (B, 3, H, W) in -1..1, in float32."""
        generator = self.generator if self.training else self.eval_generator
        stylised: Tensor = generator(frame.contiguous(memory_format=self.layout))
        return stylised.float()

    def training_step(self, batch: PairedSample, index: int) -> None:
        """One step of both networks on one pass of the generator, and another where unpainted frames count."""
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        # Where nothing may be learnt, the painter's own colours stand: no term has a gradient there.
        generated = torch.where(batch["mask"], self(self._noisy(batch["frame"])), batch["styled"])
        terms = self._generator_terms(generated, batch["styled"])
        if "pair" in batch and self._counts("consistency"):
            terms["consistency"] = self._unsteadiness(batch["pair"])
        loss = torch.stack([self.loss_weights[name] * term for name, term in terms.items()]).sum()
        self.log("train/loss", loss.detach(), prog_bar=True)
        if self.discriminator is not None:
            terms["discriminator"] = self._discriminator_loss(generated.detach(), batch["other"])
            loss = loss + terms["discriminator"]
        self.log_dict({f"train/loss/{name}": term.detach() for name, term in terms.items()})
        optimizer.zero_grad()
        # The two losses share no parameter that both have a gradient for, so one backward pass serves both.
        self.manual_backward(loss)
        optimizer.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.generator)

    def _unsteadiness(self, pair: PairSample) -> Tensor:
        """How much the network makes unpainted frames flicker."""
        both = self(self._noisy(torch.cat((pair["before"], pair["after"]))))
        before, after = both.chunk(2)
        return unsteadiness(before, after, pair["motion"], pair["seen"])

    def _noisy(self, frame: Tensor) -> Tensor:
        """The frame with noise on its colours, its guides as they are."""
        if not self.noise:
            return frame
        grain = torch.randn_like(frame[:, :3]) * (self.noise / 127.5)
        return torch.cat((frame[:, :3] + grain, frame[:, 3:]), dim=1)

    def _generator_terms(self, generated: Tensor, styled: Tensor) -> dict[str, Tensor]:
        """The terms that count, unweighted."""
        terms = {"pixel": pixel_loss(generated, styled)} if self._counts("pixel") else {}
        if self._counts("structure"):
            terms["structure"] = structure_loss(generated, styled)
        if self.discriminator is not None:
            # Recorded while frozen, the graph leads through the discriminator to the generator alone.
            self.discriminator.requires_grad_(False)
            verdicts, features = self.discriminator(generated)
            if self._counts("adversarial"):
                terms["adversarial"] = adversarial_loss(verdicts)
            if self._counts("matching"):
                terms["matching"] = feature_matching(features, self.discriminator(styled)[1])
            self.discriminator.requires_grad_(True)
        for vgg in self._vgg if self._counts("perceptual") else ():
            terms["perceptual"] = feature_distance(vgg(generated), vgg(styled))
        return terms

    def _discriminator_loss(self, generated: Tensor, other: Tensor) -> Tensor:
        assert self.discriminator is not None
        # Instance normalisation treats each image by itself, so both kinds may share a pass.
        verdicts, _ = self.discriminator(torch.cat((generated, other)))
        fake, genuine = verdicts.split((len(generated), len(other)))
        return discriminator_loss(genuine, fake)

    def validation_step(self, batch: StyleSample, index: int) -> None:
        """Measure the masked pixels of held-out windows."""
        vgg = self._vgg[0] if self._vgg else None
        self.judge.update(self(batch["frame"]), batch["styled"], batch["mask"], vgg)

    def on_validation_epoch_end(self) -> None:
        """Log what was measured, the flicker of the probe frames, and the quality that tells the best checkpoint."""
        found, probe = self.judge.compute(), self._probe()
        if probe is not None:
            found["flicker"] = flicker_of(self, probe)
        found["quality"] = self.quality.of(found)
        self.log_dict({f"val/{name}": value for name, value in found.items()})

    def _probe(self) -> PairSample | None:
        """Crops of unpainted frames by which flicker is judged, where the trainer's data has any."""
        data = getattr(self.trainer, "datamodule", None)
        probe = data.probe if isinstance(data, KeyframesDataModule) else None
        if probe is None:
            return None
        return cast(PairSample, {name: value.to(self.device) for name, value in cast(dict[str, Tensor], probe).items()})

    @torch.no_grad()
    def draw(self, batch: StyleSample) -> list[Image]:
        """Windows of a validation batch, one below the other: the frame, what is made of it, the painter's version."""
        return _side_by_side(batch["frame"][:, :3], self(batch["frame"]), batch["styled"])

    @torch.no_grad()
    def draw_probe(self) -> list[Image]:
        """The probe frames, each beside what is made of it; none without them."""
        probe = self._probe()
        if probe is None:
            return []
        made = torch.cat([self(frame[None]) for frame in probe["after"]])
        return _side_by_side(probe["after"][:, :3], made)

    @torch.inference_mode()
    def stylise(self, frame: Tensor) -> Tensor:
        """Stylise frames, whole or in tiles; in half precision on a GPU where no other autocast is on.

        Args:
            frame: (B, 3 + c, H, W) in -1..1, on this module's device.

        Returns:
            (B, 3, H, W) in -1..1, float32.
        """
        training = self.training
        self.eval()
        try:

            def run(part: Tensor) -> Tensor:
                """The generator under the device's precision."""
                return in_suited_precision(self, part)

            reach = cast(ReceptiveField, self.eval_generator)
            made, self.tile = in_fitting_tiles(run, reach, frame, tile=self.tile, overlap=self.overlap)
            return made
        finally:
            self.train(training)


def _average(decay: float, *lists: Any) -> None:
    """Move a list of averages towards a list of values."""
    get_ema_multi_avg_fn(decay)(*lists)  # type: ignore[no-untyped-call]


def _side_by_side(*columns: Tensor) -> list[Image]:
    """Pictures (B, 3, H, W) in -1..1 as B sheets (H, n W, 3)."""
    sheet = torch.cat(columns, dim=3).add(1).mul(127.5).round().clamp(0, 255)  # (B, 3, H, n W)
    return list(sheet.permute(0, 2, 3, 1).to("cpu", torch.uint8).numpy())


def _check(loss_weights: Mapping[str, float]) -> None:
    for name, weight in loss_weights.items():
        where = f"model.style.module.loss_weights.{name}"
        if name not in TERMS:
            raise ConfigError(where, found="no such term", expected=" or ".join(TERMS), hint="correct its name")
        if not weight >= 0:
            raise ConfigError(where, found=str(weight), expected="0 or more", hint="correct it")
