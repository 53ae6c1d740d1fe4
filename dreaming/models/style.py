"""Learning a painter's style from patches of a few keyframes, and applying it to frames of any size."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, Literal

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric
from torchmetrics.functional.image import structural_similarity_index_measure

from dreaming.data.keyframes import StyleSample
from dreaming.errors import ConfigError
from dreaming.frames.arrays import Image, Size
from dreaming.losses.style import FeatureMaps, discriminator_loss, feature_distance, feature_matching, generator_terms
from dreaming.models.tiles import tiled
from dreaming.networks.style_generator import StyleGenerator

# What each kind of perceptual term counts unless told otherwise. VGG's is that of Texler et al. 2020. A discriminator's
# features are normalised and blind to the mean colour, so more than this slows the learning of colours down.
PERCEPTUAL = {"vgg19": 6.0, "discriminator": 1.0, "none": 0.0}


class StyleModule(LightningModule):
    """Few-shot patch-based training, Texler et al. 2020.

    The generator runs once a step, for its own loss and, detached, for the discriminator's. One optimiser holds both
    networks in two groups of parameters: Adam treats each parameter by itself, so this equals two optimisers, and the
    trainer counts one step a batch.

    Args:
        generator: Makes the generator: ``generator(channels=...)``, with ``margin`` and ``multiple`` in pixels.
        optimizer: Makes the optimiser: ``optimizer(groups, lr=...)``.
        lr: Learning rate.
        discriminator: Makes the discriminator: ``discriminator()``; called only where a term needs it.
        vgg: Makes the network of perceptual features: ``vgg()``; called only before training with ``vgg19``.
        perceptual: What the perceptual term compares: ``vgg19`` features, the ``discriminator``'s, or ``none``.
        loss_weights: What each of ``pixel``, ``adversarial``, ``perceptual`` counts; one that is left out, nothing.
            None for ``perceptual``: what suits its kind, 6 for VGG and 1 for the discriminator.
        channels: Of the frames: 3 and those of the guides.
        tile: Side in pixels of the tiles that a frame is cut into for inference; None: whole frames.
        overlap: Pixels around a tile that are computed with it and thrown away; None: the generator's margin, which
            makes tiles equal to whole frames.
        channels_last: Lay features out channel by channel in memory; faster on most devices.

    Raises:
        ConfigError: If ``perceptual`` or a loss term has no such name.
    """

    def __init__(
        self,
        *,
        generator: Callable[..., StyleGenerator],
        optimizer: Callable[..., Optimizer],
        lr: float,
        discriminator: Callable[[], nn.Module] | None = None,
        vgg: Callable[[], nn.Module] | None = None,
        perceptual: Literal["vgg19", "discriminator", "none"] = "discriminator",
        loss_weights: Mapping[str, float | None],
        channels: int = 3,
        tile: int | None = None,
        overlap: int | None = None,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self._check(perceptual, loss_weights)
        self.optimizer, self.lr, self.tile = optimizer, lr, tile
        self.perceptual = perceptual
        self.loss_weights = {
            name: PERCEPTUAL[perceptual] if weight is None else weight for name, weight in loss_weights.items()
        }
        self.generator = generator(channels=channels)
        self.overlap = self.generator.margin if overlap is None else overlap
        matching = perceptual == "discriminator" and self._counts("perceptual")
        self.discriminator = None
        if self._counts("adversarial") or matching:
            assert discriminator is not None
            self.discriminator = discriminator()
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.generator.to(memory_format=self.layout)  # type: ignore[call-overload]  # in the docs, not in the stubs
        self._make_vgg = vgg
        # In a list VGG is no submodule, so its 20 million weights stay out of checkpoints.
        self._vgg: list[nn.Module] = []
        self.likeness, self.distance = MeanMetric(), MeanMetric()

    @staticmethod
    def _check(perceptual: str, loss_weights: Mapping[str, float | None]) -> None:
        if perceptual not in PERCEPTUAL:
            raise ConfigError(
                "model.style.module.perceptual",
                found=str(perceptual),
                expected=" or ".join(PERCEPTUAL),
                mend="choose one of them",
            )
        names = ("pixel", "adversarial", "perceptual")
        for name, weight in loss_weights.items():
            if name not in names or (weight is None and name != "perceptual"):
                raise ConfigError(
                    f"model.style.module.loss_weights.{name}",
                    found="no number" if name in names else "no such term",
                    expected="a number" if name in names else " or ".join(names),
                    mend="give one" if name in names else "correct its name",
                )

    def _counts(self, term: str) -> bool:
        return self.loss_weights.get(term, 0.0) > 0

    def configure_optimizers(self) -> Optimizer:
        """One optimiser with a group for each network; a schedule belongs to the fit, which knows the budget."""
        groups: list[dict[str, Any]] = [{"name": "generator", "params": list(self.generator.parameters())}]
        if self.discriminator is not None:
            groups.append({"name": "discriminator", "params": list(self.discriminator.parameters())})
        return self.optimizer(groups, lr=self.lr)

    def on_fit_start(self) -> None:
        """Load VGG where it is needed: for training only.

        Raises:
            WeightsError: If its weights cannot be had.
        """
        if self.perceptual == "vgg19" and self._counts("perceptual"):
            assert self._make_vgg is not None
            self._vgg = [self._make_vgg().to(self.device)]

    def forward(self, frame: Tensor) -> Tensor:
        """Map (B, 3 + c, H, W) in -1..1 to (B, 3, H, W) in -1..1, in float32."""
        stylised: Tensor = self.generator(frame.contiguous(memory_format=self.layout))
        return stylised.float()

    def training_step(self, batch: StyleSample, index: int) -> None:
        """One step of both networks on one pass of the generator."""
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        # Where nothing may be learnt, the painter's own colours stand: no term has a gradient there.
        generated = torch.where(batch["mask"], self(batch["frame"]), batch["styled"])
        terms = self._generator_terms(generated, batch["styled"])
        loss = torch.stack([self.loss_weights.get(name, 0.0) * term for name, term in terms.items()]).sum()
        self.log("train/loss", loss.detach(), prog_bar=True)
        if self.discriminator is not None:
            terms["discriminator"] = self._discriminator_loss(generated.detach(), batch["other"])
            loss = loss + terms["discriminator"]
        self.log_dict({f"train/loss/{name}": term.detach() for name, term in terms.items()})
        optimizer.zero_grad()
        # The two losses share no parameter that both have a gradient for, so one backward pass serves both.
        self.manual_backward(loss)
        optimizer.step()

    def _generator_terms(self, generated: Tensor, styled: Tensor) -> dict[str, Tensor]:
        verdicts: Tensor | None = None
        features: tuple[FeatureMaps, FeatureMaps] | None = None
        distance = feature_distance
        if self.discriminator is not None:
            # Recorded while frozen, the graph leads through the discriminator to the generator alone.
            self.discriminator.requires_grad_(False)
            judged, maps = self.discriminator(generated)
            if self._counts("adversarial"):
                verdicts = judged
            if self.perceptual == "discriminator" and self._counts("perceptual"):
                features, distance = (maps, self.discriminator(styled)[1]), feature_matching
            self.discriminator.requires_grad_(True)
        if self._vgg:
            features = (self._vgg[0](generated), self._vgg[0](styled))
        return generator_terms(generated, styled, verdicts=verdicts, features=features, distance=distance)

    def _discriminator_loss(self, generated: Tensor, other: Tensor) -> Tensor:
        assert self.discriminator is not None
        # Instance normalisation treats each image by itself, so both kinds may share a pass.
        verdicts, _ = self.discriminator(torch.cat((generated, other)))
        fake, genuine = verdicts.split((len(generated), len(other)))
        return discriminator_loss(genuine, fake)

    def validation_step(self, batch: StyleSample, index: int) -> None:
        """Likeness (SSIM, 11x11 Gaussian) and mean absolute difference, over the masked pixels of all windows."""
        mask = batch["mask"].expand_as(batch["styled"]).float()
        # SSIM's constants are meant for colours that begin at zero.
        generated, styled = (self(batch["frame"]) + 1) / 2, (batch["styled"] + 1) / 2
        # Its variances are small differences of squares, of which half precision leaves nothing.
        with torch.autocast(generated.device.type, enabled=False):
            measured = structural_similarity_index_measure(generated, styled, data_range=1.0, return_full_image=True)
        self.likeness.update(measured[1], weight=mask)
        self.distance.update((generated - styled).abs(), weight=mask)
        self.log("val/likeness", self.likeness, on_epoch=True, prog_bar=True)
        self.log("val/loss", self.distance, on_epoch=True)

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
        training = self.generator.training
        self.generator.eval()
        try:
            kind = frame.device.type
            # A precision that the trainer has set for this block goes first.
            half = kind == "cuda" and not torch.is_autocast_enabled(kind)
            with torch.autocast(kind, dtype=torch.float16) if half else nullcontext():
                return self._whole_or_tiled(frame)
        finally:
            self.generator.train(training)

    def _whole_or_tiled(self, frame: Tensor) -> Tensor:
        size = (frame.shape[-2], frame.shape[-1])
        if self.tile is None or self.tile >= max(size):
            return self(frame)
        grid = self.generator.multiple
        around = -(-self.overlap // grid) * grid  # so that a tile begins on the sampling grid of the whole frame

        def tile_of(origin: tuple[int, int], tile: Size) -> Tensor:
            """A region of the stylised frame, computed with what lies around it."""
            (top, left), (height, width) = origin, tile
            up, before = min(around, top), min(around, left)
            seen = frame[..., top - up : top + height + around, left - before : left + width + around]
            return self(seen)[..., up : up + height, before : before + width]

        return tiled(tile_of, size, self.tile, overlap=0, multiple=grid)
