"""Style transfer trained on patches of a few keyframes and applied to frames of any size."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias, cast

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from dreaming.constraints import Channels, ImageSide, LearningRate, NonNegativeFloat, NonNegativeInt
from dreaming.data.frame_pairs import PairedSample, PairSample
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.data.patches import StyleSample
from dreaming.io.types import Image
from dreaming.losses.style import (
    adversarial_loss,
    discriminator_loss,
    feature_distance,
    feature_matching,
    pixel_loss,
    structure_loss,
    temporal_loss,
)
from dreaming.models.hyperparameters import to_factory, to_plain
from dreaming.models.perceptual import load_cached_vgg
from dreaming.models.style_inference import ReceptiveField, in_fitting_tiles, in_suited_precision
from dreaming.models.style_metrics import FlickerRatio, HeldOutStrokes, Powers, StyleMetrics, composite_score
from dreaming.models.warm_start import warm_start

LossTerm: TypeAlias = Literal["pixel", "structure", "adversarial", "matching", "perceptual"]


class StyleModule(LightningModule):
    """Few-shot patch-based training, Texler et al. 2020, with any generator.

    The generator runs once per step, for its own loss and, detached, for the discriminator's. Each network is a
    parameter group of one optimiser. Adam treats parameters independently, so this equals two optimisers.

    Args:
        generator: Factory ``generator(channels=..., painted=...)`` of a network with ``margin`` and ``multiple``.
        optimizer: Factory ``optimizer(groups, lr=...)``.
        lr: Learning rate.
        discriminator: Factory ``discriminator()``; called only if a loss term needs it.
        vgg: Factory ``vgg()`` of a network of perceptual features; called before training if the loss or the
            quality uses them, else as ``vgg(download=False)`` to log them if the weights are available.
        loss_weights: Weight of each loss term; a missing one is 0. ``pixel``: mean absolute difference; ``structure``:
            one minus SSIM; ``adversarial``: GAN loss; ``matching``: difference of the discriminator's features;
            ``perceptual``: difference of VGG's features.
        consistency: Weight of the temporal loss on unpainted frames.
        quality: Powers in ``val/quality``, see ``composite_score``.
        channels: Channels of the frames: 3 and those of the guides.
        painted: First of each three channels that show a painting.
        tile: Side in pixels of the tiles for inference; None: whole frames, or the largest tiles that fit in memory.
        overlap: Pixels computed around a tile and discarded; None: the generator's margin, with which tiles equal whole
            frames.
    """

    kind: ClassVar[str] = "style_module"

    INFERENCE_ONLY: ClassVar[Mapping[str, object]] = {"tile": None, "overlap": None}
    """Arguments without effect on training, with the value that stands for them in fingerprints."""

    def __init__(
        self,
        *,
        generator: Callable[..., nn.Module],
        optimizer: Callable[..., Optimizer],
        lr: LearningRate,
        discriminator: Callable[[], nn.Module] | None = None,
        vgg: Callable[..., nn.Module] | None = None,
        loss_weights: Mapping[LossTerm, NonNegativeFloat],
        consistency: NonNegativeFloat = 0.0,
        quality: Powers | None = None,
        channels: Channels = 3,
        painted: Sequence[int] = (),
        tile: ImageSide | None = None,
        overlap: NonNegativeInt | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.optimizer, self.lr, self.tile, self.overlap = to_factory(optimizer), lr, tile, overlap
        self.loss_weights: dict[str, float] = dict(loss_weights.items()) | {"consistency": consistency}
        self.quality: Powers = {"sharpness": 0.1} if quality is None else quality
        self.generator = to_factory(generator)(channels=channels, painted=painted)
        self.discriminator = None
        if self._counts("adversarial") or self._counts("matching"):
            assert discriminator is not None
            self.discriminator = to_factory(discriminator)()
        self.layout = torch.channels_last  # faster on most devices
        self.generator.to(memory_format=self.layout)
        self._make_vgg = to_factory(vgg)
        # In a list VGG is not a submodule, so its 20 million weights are not in checkpoints.
        self._vgg: list[nn.Module] = []
        self.metrics, self.strokes, self.flicker = StyleMetrics(), HeldOutStrokes(), FlickerRatio()

    def _counts(self, term: str) -> bool:
        return self.loss_weights.get(term, 0.0) > 0

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the hyperparameters as plain data for ``load_from_checkpoint(..., weights_only=True)``."""
        checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = to_plain(dict(self.hparams))

    def configure_optimizers(self) -> Optimizer:
        """Create one optimiser with a parameter group per network; ``fit`` adds the schedule."""
        groups: list[dict[str, Any]] = [{"name": "generator", "params": list(self.generator.parameters())}]
        if self.discriminator is not None:
            groups.append({"name": "discriminator", "params": list(self.discriminator.parameters())})
        optimizer: Optimizer = self.optimizer(groups, lr=self.lr)
        return optimizer

    def on_fit_start(self) -> None:
        """Load VGG if it is needed or available, and warm-start the generator.

        Raises:
            WeightsError: If VGG's weights are needed but not available.
        """
        if self._counts("perceptual") or self.quality.get("perceptual", 0.0):
            assert self._make_vgg is not None
            vgg: nn.Module | None = self._make_vgg()
        else:
            vgg = load_cached_vgg(self._make_vgg, self.trainer)
        self._vgg = [] if vgg is None else [vgg.to(self.device)]
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, KeyframesDataModule):
            warm_start(self.generator, data.iter_keyframes(), self.trainer)

    def forward(self, frame: Tensor) -> Tensor:
        """Map (B, 3 + c, H, W) in -1..1 to (B, 3, H, W) in -1..1, float32."""
        stylised: Tensor = self.generator(frame.contiguous(memory_format=self.layout))
        return stylised.float()

    def training_step(self, batch: PairedSample, batch_idx: int) -> Tensor:
        """Return the sum of both networks' losses, from one pass of the generator, or two with unpainted frames."""
        # Masked pixels take the painted colours, so that no term has a gradient there.
        generated = torch.where(batch["mask"], self(batch["frame"]), batch["styled"])
        terms = self._generator_terms(generated, batch["styled"])
        if "pair" in batch and self._counts("consistency"):
            pair = batch["pair"]
            before, after = self(torch.cat((pair["before"], pair["after"]))).chunk(2)
            terms["consistency"] = temporal_loss(before, after, pair["motion"], pair["visible"])
        loss = torch.stack([self.loss_weights[name] * term for name, term in terms.items()]).sum()
        self.log("train/loss", loss.detach(), prog_bar=True)
        if self.discriminator is not None:
            terms["discriminator"] = self._discriminator_loss(generated.detach(), batch["other"])
            # No parameter has a gradient from both losses, so one backward pass of their sum is enough.
            loss = loss + terms["discriminator"]
        self.log_dict({f"train/loss/{name}": term.detach() for name, term in terms.items()})
        return loss

    def _generator_terms(self, generated: Tensor, styled: Tensor) -> dict[str, Tensor]:
        """Compute the unweighted terms that count."""
        terms = {"pixel": pixel_loss(generated, styled)} if self._counts("pixel") else {}
        if self._counts("structure"):
            terms["structure"] = structure_loss(generated, styled)
        if self.discriminator is not None:
            # While it is frozen, these terms have gradients for the generator only.
            self.discriminator.requires_grad_(False)
            predictions, features = self.discriminator(generated)
            if self._counts("adversarial"):
                terms["adversarial"] = adversarial_loss(predictions)
            if self._counts("matching"):
                terms["matching"] = feature_matching(features, self.discriminator(styled)[1])
            self.discriminator.requires_grad_(True)
        for vgg in self._vgg if self._counts("perceptual") else ():
            terms["perceptual"] = feature_distance(vgg(generated), vgg(styled))
        return terms

    def _discriminator_loss(self, generated: Tensor, other: Tensor) -> Tensor:
        assert self.discriminator is not None
        # Instance normalisation treats images independently, so both kinds can share a pass.
        predictions, _ = self.discriminator(torch.cat((generated, other)))
        fake, real = predictions.split((len(generated), len(other)))
        return discriminator_loss(real, fake)

    def validation_step(self, batch: StyleSample | PairSample, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Measure held-out windows (first dataloader) and the flicker of unpainted frames (second dataloader)."""
        if dataloader_idx:
            pair = cast(PairSample, batch)
            self.flicker.update(self(pair["before"]), self(pair["after"]), pair)
        else:
            sample = cast(StyleSample, batch)
            vgg = self._vgg[0] if self._vgg else None
            generated = self(sample["frame"])
            self.metrics.update(generated, sample["styled"], sample["mask"], vgg)
            self.strokes.add(generated, sample["styled"], sample["mask"])

    def on_validation_epoch_end(self) -> None:
        """Log the metrics, and the quality by which the best checkpoint is chosen."""
        values = self.metrics.compute()
        if self.strokes["crispness"].update_called:
            values |= self.strokes.compute()
        if self.flicker.update_called:
            values["flicker"] = self.flicker.compute()
        values["quality"] = composite_score(values, self.quality)
        self.log_dict({f"val/{name}": value for name, value in values.items()})
        self.metrics.reset()
        self.strokes.reset()
        self.flicker.reset()

    @torch.no_grad()
    def draw(self, batch: StyleSample) -> list[Image]:
        """Draw windows of a validation batch: the frame, the stylised frame, the painting."""
        return _side_by_side(batch["frame"][:, :3], self(batch["frame"]), batch["styled"])

    @torch.no_grad()
    def draw_pair(self, pair: PairSample) -> list[Image]:
        """Draw the later frames of pairs: the frame, the stylised frame."""
        return _side_by_side(pair["after"][:, :3], self(pair["after"]))

    @torch.inference_mode()
    def stylise(self, frame: Tensor) -> Tensor:
        """Stylise frames, whole or in tiles; in half precision on a GPU, unless another autocast is active.

        Args:
            frame: (B, 3 + c, H, W) in -1..1, on this module's device.

        Returns:
            (B, 3, H, W) in -1..1, float32.
        """
        training = self.training
        self.eval()
        try:

            def run(part: Tensor) -> Tensor:
                """Run the generator in the device's precision."""
                return in_suited_precision(self, part)

            field = cast(ReceptiveField, self.generator)
            stylised, self.tile = in_fitting_tiles(run, field, frame, tile=self.tile, overlap=self.overlap)
            return stylised
        finally:
            self.train(training)


def _side_by_side(*columns: Tensor) -> list[Image]:
    """Join images (B, 3, H, W) in -1..1 to B sheets (H, n W, 3)."""
    sheet = torch.cat(columns, dim=3).add(1).mul(127.5).round().clamp(0, 255)  # (B, 3, H, n W)
    return list(sheet.permute(0, 2, 3, 1).to("cpu", torch.uint8).numpy())
