"""Learning a painter's style from patches of a few keyframes, and applying it to frames of any size."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchmetrics import MeanMetric
from torchmetrics.functional.image import structural_similarity_index_measure

from dreaming.data.keyframes import KeyframesDataModule
from dreaming.data.patches import StyleSample
from dreaming.errors import ConfigError
from dreaming.frames.arrays import Image
from dreaming.losses.style import (
    adversarial_loss,
    discriminator_loss,
    feature_distance,
    feature_matching,
    gradient,
    pixel_loss,
    structure_loss,
)
from dreaming.models.style_inference import Reach, in_suited_precision, whole_or_tiled

TERMS = ("pixel", "structure", "adversarial", "matching", "perceptual")
SHARPNESS_POWER = 0.1
"""A tenth of the sharpness weighs as much as a hundredth of the likeness."""


@runtime_checkable
class WarmStart(Protocol):
    """A generator of which a part is fitted before training begins."""

    def warm_start(self, pictures: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
        """Fit to keyframes: each (3, H, W) and painted (3, H, W) in -1..1, what to learn from (1, H, W) bool."""


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
        vgg: Makes the network of perceptual features: ``vgg()``; called only before training, where its term counts.
        loss_weights: What each term counts; one that is left out, nothing. ``pixel``: mean absolute difference;
            ``structure``: one minus SSIM; ``adversarial``: the discriminator's verdict; ``matching``: its features;
            ``perceptual``: VGG's features.
        channels: Of the frames: 3 and those of the guides.
        painted: First of each three channels that are a painted picture already.
        average: Decay of the moving average of the generator's weights, which then is what is judged and used; None:
            no average.
        noise: Standard deviation of the noise added to training frames, in grey levels, so that the sensor's own is
            not amplified into flicker.
        tile: Side in pixels of the tiles that a frame is cut into for inference; None: whole frames.
        overlap: Pixels around a tile that are computed with it and thrown away; None: the generator's margin, which
            makes tiles equal to whole frames.
        channels_last: Lay features out channel by channel in memory; faster on most devices.

    Raises:
        ConfigError: If a loss term has no such name, or ``average`` is not in 0..1.
    """

    def __init__(
        self,
        *,
        generator: Callable[..., nn.Module],
        optimizer: Callable[..., Optimizer],
        lr: float,
        discriminator: Callable[[], nn.Module] | None = None,
        vgg: Callable[[], nn.Module] | None = None,
        loss_weights: Mapping[str, float],
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
        _check(loss_weights, average)
        self.optimizer, self.lr, self.tile, self.overlap = optimizer, lr, tile, overlap
        self.loss_weights, self.noise = dict(loss_weights), noise
        self.generator = generator(channels=channels, painted=painted)
        self.discriminator = None
        if self._counts("adversarial") or self._counts("matching"):
            assert discriminator is not None
            self.discriminator = discriminator()
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.generator.to(memory_format=self.layout)  # type: ignore[call-overload]  # in the docs, not in the stubs
        self.averaged: AveragedModel | None = None
        if average is not None:
            averaging = get_ema_multi_avg_fn(average)  # type: ignore[no-untyped-call]
            self.averaged = AveragedModel(self.generator, multi_avg_fn=averaging, use_buffers=True)
        self._make_vgg = vgg
        # In a list VGG is no submodule, so its 20 million weights stay out of checkpoints.
        self._vgg: list[nn.Module] = []
        self.likeness, self.distance = MeanMetric(), MeanMetric()
        self.strokes, self.painted_strokes = MeanMetric(), MeanMetric()

    @property
    def judged(self) -> nn.Module:
        """The generator that is validated and used: the averaged one where there is an average."""
        return self.generator if self.averaged is None else self.averaged.module

    def _counts(self, term: str) -> bool:
        return self.loss_weights.get(term, 0.0) > 0

    def configure_optimizers(self) -> Optimizer:
        """One optimiser with a group for each network; a schedule belongs to the fit, which knows the budget."""
        groups: list[dict[str, Any]] = [{"name": "generator", "params": list(self.generator.parameters())}]
        if self.discriminator is not None:
            groups.append({"name": "discriminator", "params": list(self.discriminator.parameters())})
        return self.optimizer(groups, lr=self.lr)

    def on_fit_start(self) -> None:
        """Load VGG where it is needed, for training only; fit what of the generator needs no training.

        Raises:
            WeightsError: If VGG's weights cannot be had.
        """
        if self._counts("perceptual"):
            assert self._make_vgg is not None
            self._vgg = [self._make_vgg().to(self.device)]
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(self.generator, WarmStart) and isinstance(data, KeyframesDataModule):
            for generator in {self.generator, self.judged}:
                cast(WarmStart, generator).warm_start(data.whole())

    def forward(self, frame: Tensor) -> Tensor:
        """Map (B, 3 + c, H, W) in -1..1 to (B, 3, H, W) in -1..1, in float32."""
        generator = self.generator if self.training else self.judged
        stylised: Tensor = generator(frame.contiguous(memory_format=self.layout))
        return stylised.float()

    def training_step(self, batch: StyleSample, index: int) -> None:
        """One step of both networks on one pass of the generator."""
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        # Where nothing may be learnt, the painter's own colours stand: no term has a gradient there.
        generated = torch.where(batch["mask"], self(self._noisy(batch["frame"])), batch["styled"])
        terms = self._generator_terms(generated, batch["styled"])
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
        for vgg in self._vgg:
            terms["perceptual"] = feature_distance(vgg(generated), vgg(styled))
        return terms

    def _discriminator_loss(self, generated: Tensor, other: Tensor) -> Tensor:
        assert self.discriminator is not None
        # Instance normalisation treats each image by itself, so both kinds may share a pass.
        verdicts, _ = self.discriminator(torch.cat((generated, other)))
        fake, genuine = verdicts.split((len(generated), len(other)))
        return discriminator_loss(genuine, fake)

    def validation_step(self, batch: StyleSample, index: int) -> None:
        """Likeness (SSIM, 11x11 Gaussian), mean absolute difference and sharpness over the masked pixels."""
        mask = batch["mask"].float()
        # SSIM's constants are meant for colours that begin at zero.
        generated, styled = (self(batch["frame"]) + 1) / 2, (batch["styled"] + 1) / 2
        # Its variances are small differences of squares, of which half precision leaves nothing.
        with torch.autocast(generated.device.type, enabled=False):
            measured = structural_similarity_index_measure(generated, styled, data_range=1.0, return_full_image=True)
        self.likeness.update(measured[1], weight=mask.expand_as(styled))
        self.distance.update((generated - styled).abs(), weight=mask.expand_as(styled))
        self.strokes.update(gradient(generated), weight=mask)
        self.painted_strokes.update(gradient(styled), weight=mask)

    def on_validation_epoch_end(self) -> None:
        """Log them, and the quality that tells the best checkpoint: likeness times a low power of sharpness.

        Sharpness is the ratio of mean gradients, the smaller by the larger. Likeness alone prefers pictures that are
        blurred wherever strokes cannot be foretold.
        """
        likeness, strokes, painted = (m.compute() for m in (self.likeness, self.strokes, self.painted_strokes))
        sharpness = torch.minimum(strokes, painted) / torch.maximum(strokes, painted).clamp(min=1e-6)
        values = {
            "likeness": likeness,
            "sharpness": sharpness,
            "quality": likeness.clamp(min=0) * sharpness**SHARPNESS_POWER,
        }
        self.log_dict({f"val/{name}": value for name, value in values.items()})
        self.log("val/loss", self.distance.compute())
        for metric in (self.likeness, self.distance, self.strokes, self.painted_strokes):
            metric.reset()

    @torch.no_grad()
    def draw(self, batch: StyleSample) -> list[Image]:
        """Windows of a validation batch, one below the other: the frame, what is made of it, the painter's version."""
        columns = (batch["frame"][:, :3], self(batch["frame"]), batch["styled"])
        sheet = torch.cat(columns, dim=3).add(1).mul(127.5).round().clamp(0, 255)  # (B, 3, H, 3 W)
        return list(sheet.permute(0, 2, 3, 1).to("cpu", torch.uint8).numpy())

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

            reach = cast(Reach, self.judged)
            return whole_or_tiled(run, reach, frame, tile=self.tile, overlap=self.overlap)
        finally:
            self.train(training)


def _check(loss_weights: Mapping[str, float], average: float | None) -> None:
    for name in loss_weights:
        if name not in TERMS:
            raise ConfigError(
                f"model.style.module.loss_weights.{name}",
                found="no such term",
                expected=" or ".join(TERMS),
                mend="correct its name",
            )
    if average is not None and not 0 <= average < 1:
        raise ConfigError(
            "model.style.module.average", found=str(average), expected="a share of 0 to 1", mend="correct it"
        )
