"""LightningModule of the segmentation networks, with prediction of frames of any size."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, TypeAlias, cast

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import BinaryAccuracy

from dreaming.constraints import ImageSide, LearningRate, NonNegativeFloat, NonNegativeInt
from dreaming.data.base import MaskSample
from dreaming.errors import ConfigError
from dreaming.imaging.colour_statistics import NEUTRAL, ColourStatistics
from dreaming.imaging.overlay import overlay
from dreaming.imaging.resize import working_size
from dreaming.io.types import Image, Size
from dreaming.losses.mask import bce, dice
from dreaming.metrics.boundary import BoundaryF
from dreaming.metrics.region import FrameJaccard
from dreaming.models.hyperparameters import to_factory, to_plain
from dreaming.models.tiling import SizeConstraints, fitting, padded, region, tiled
from dreaming.networks.position import centre, coordinates

Split: TypeAlias = Literal["train", "val"]
LossTerm: TypeAlias = Literal["bce", "dice"]

PROB_EPS = 0.01
"""Probabilities of a prior mask are clamped to this distance from 0 and 1 before their logit is taken."""

LARGE_CROP = 512
"""Side in pixels of a training crop that is never too large, however small the frames are."""


class SegmentationModule(LightningModule):
    """Learns the masks of one video from a few hand-masked frames.

    Args:
        network: Builds the network: ``network(in_channels=...)``. The network takes a normalised image and its
            coordinates, returns logits, and has the attributes of ``SizeConstraints``.
        optimizer: Builds the optimiser: ``optimizer(parameters, lr=...)``.
        lr: Learning rate.
        loss_weights: Weight of each term of ``losses.mask``; 0 for those not named.
        statistics: The clip's colour statistics; ``NEUTRAL`` if a checkpoint replaces them.
        short_side: Working resolution in pixels: frames are resized to this shorter side before the network, and
            logits back after it; None for the frames' own. Training crops have the working resolution already.
        tile: Side in working pixels of the tiles that frames are split into for prediction; None for whole frames.
        overlap: Working pixels by which neighbouring tiles overlap; they are blended linearly.
        flip: Whether each prediction is averaged with that of the mirrored frame.
        features: Number of feature channels that the network takes beside the image.
        position: Whether the network takes coordinates, encoded by its ``positional_encoding``.
        prior: Index of the feature channel with a mask in 0..1 that the network corrects: the output is this mask's
            logit times a trained factor, plus the network's output. None: no such channel.
    """

    kind: ClassVar[str] = "segmentation_module"

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        network: Callable[..., nn.Module],
        optimizer: Callable[..., Optimizer],
        lr: LearningRate,
        loss_weights: Mapping[LossTerm, NonNegativeFloat],
        statistics: ColourStatistics = NEUTRAL,
        short_side: ImageSide | None = None,
        tile: ImageSide | None = None,
        overlap: NonNegativeInt = 64,
        flip: bool = False,
        features: NonNegativeInt = 0,
        position: bool = True,
        prior: NonNegativeInt | None = None,
    ) -> None:
        super().__init__()
        # Checkpoints hold the statistics as buffers.
        self.save_hyperparameters(ignore=["statistics"], logger=False)
        self.prior = prior
        if prior is not None:
            self.prior_weight = nn.Parameter(torch.tensor(0.5))
        encoding = {} if position else {"positional_encoding": "none"}
        self.network: nn.Module = to_factory(network)(in_channels=3 + features, **encoding)
        self.optimizer, self.lr, self.loss_weights = to_factory(optimizer), lr, dict(loss_weights)
        self.short_side, self.flip = short_side, flip
        self.tile, self.overlap = tile, overlap
        self.network.to(memory_format=torch.channels_last)  # faster on most devices
        self.register_buffer("mean", torch.as_tensor(statistics.mean, dtype=torch.float32))
        # The deviation of a clip of a single colour is 0.
        deviation = torch.as_tensor(statistics.deviation, dtype=torch.float32)
        self.register_buffer("deviation", deviation.clamp(min=1 / 255))
        scores: dict[str, Metric | MetricCollection] = {
            "jaccard": FrameJaccard(),
            "accuracy": BinaryAccuracy(validate_args=False),
            "boundary_f": BoundaryF(),
        }
        # Compute groups would merge two metrics whose first values happen to be equal.
        self.scores = MetricCollection(scores, prefix="val/", compute_groups=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the hyperparameters as plain data for ``load_from_checkpoint(..., weights_only=True)``."""
        checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = to_plain(dict(self.hparams))

    def configure_optimizers(self) -> Optimizer:
        """Create the optimiser; ``fit`` adds the learning-rate schedule, because it knows the number of steps."""
        optimizer: Optimizer = self.optimizer(self.parameters(), lr=self.lr)
        return optimizer

    def forward(self, image: Tensor, positions: Tensor | None = None) -> Tensor:
        """Compute logits (B, 1, H - 2 margin, W - 2 margin) of images (B, 3 + E, H, W): RGB in 0..1 and features."""
        logits = self._network_logits(image, positions)
        return logits + self._prior_logits(centre(image[:, 3:], logits))

    def _prior_logits(self, features: Tensor) -> Tensor | float:
        """Weighted logits (B, 1, H, W) of the prior mask in the features (B, E, H, W); 0 without one."""
        if self.prior is None:
            return 0.0
        mask = features[:, self.prior, None].float()
        return self.prior_weight * mask.clamp(PROB_EPS, 1 - PROB_EPS).logit()

    def _network_logits(self, image: Tensor, positions: Tensor | None = None) -> Tensor:
        """Logits of the network without the prior."""
        image = torch.cat([(image[:, :3] - self.mean[:, None, None]) / self.deviation[:, None, None], image[:, 3:]], 1)
        logits: Tensor = self.network(image.contiguous(memory_format=torch.channels_last), positions)
        return logits.float()

    def training_step(self, batch: MaskSample, index: int) -> Tensor:
        """Compute and log the weighted loss of crops."""
        return self._step(batch, "train")

    def validation_step(self, batch: MaskSample, index: int) -> Tensor:
        """Compute and log the weighted loss of whole frames, and their scores."""
        return self._step(batch, "val")

    def _step(self, batch: MaskSample, split: Split) -> Tensor:
        training = split == "train"
        logits = self._crop_logits(batch) if training else self.predict_logits(*_inputs(batch))
        # Without padding, a network has no output at a crop's border.
        mask = centre(batch["mask"], logits)
        terms = {"bce": bce(logits, mask), "dice": dice(logits, mask)}
        loss = torch.stack([weight * terms[name] for name, weight in self.loss_weights.items()]).sum()
        values = {f"{split}/loss": loss.detach()} | {f"{split}/loss/{name}": term for name, term in terms.items()}
        count = len(mask)
        self.log_dict(values, batch_size=count, on_step=training, on_epoch=not training, sync_dist=not training)
        if not training:
            self.scores.update(logits.sigmoid(), mask.int())
            self.log_dict(self.scores, batch_size=count, on_step=False, on_epoch=True)
        return loss

    @torch.no_grad()
    def draw(self, batch: MaskSample) -> list[Image]:
        """Draw the predicted mask over each frame of a validation batch, with errors in red."""
        predicted = (self.predict_probability(*_inputs(batch))[:, 0] > 0.5).cpu().numpy()
        truth = (batch["mask"][:, 0] > 0.5).cpu().numpy()
        frames = batch["image"].mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return [overlay(*each) for each in zip(frames, predicted, truth, strict=True)]

    def _crop_logits(self, batch: MaskSample) -> Tensor:
        """Logits of training crops, which are cut to a size that the network accepts."""
        image, positions = torch.cat([*_inputs(batch)], dim=1), batch["coordinates"]
        _check_side("data.segmentation.crop", image.shape[-1], self.network)
        like = image.new_empty([fitting(length, self.network, cut=True) for length in image.shape[-2:]])
        return self(centre(image, like), centre(positions, like))

    def check_sides(self, crop: int | None, frame: Size) -> None:
        """Check that training crops and frames fit the network's receptive field, and crops the frames.

        Raises:
            ConfigError: If they are not.
        """
        if crop is not None:
            _check_side("data.segmentation.crop", crop, self.network)
            if crop > (most := max(LARGE_CROP, 2 * max(working_size(frame, self.short_side)))):
                raise ConfigError(
                    "data.segmentation.crop",
                    found=f"{crop} pixels",
                    expected=f"at most {most}, because beyond the frame there are mirrored pixels only",
                )
        side = min(working_size(frame, self.short_side))
        if self.tile is not None:
            side = min(side, self.tile)
        key = "tile" if side == self.tile else "data.segmentation.short_side"
        _check_side(key, fitting(side, self.network), self.network)

    @torch.no_grad()
    def predict_probability(self, image: Tensor, features: Tensor | None = None) -> Tensor:
        """Predict the foreground probability (B, 1, H, W) in 0..1.

        Args:
            image: Whole frames of any size, (B, 3, H, W) RGB in 0..1.
            features: (B, E, h, w) of any size, if the network is trained with features.
        """
        return self.predict_logits(image, features).sigmoid()

    def predict_logits(self, image: Tensor, features: Tensor | None = None) -> Tensor:
        """Predict logits (B, 1, H, W) of whole frames (B, 3, H, W) in 0..1 with features (B, E, h, w), of any sizes."""
        height, width = image.shape[-2:]
        size = working_size((height, width), self.short_side)
        if size != (height, width):
            # Training crops come from frames resized by area averages, which antialiasing approximates.
            image = F.interpolate(image, size, mode="bilinear", antialias=True)
        if features is not None:
            # The prior is added at full resolution, which keeps its contour sharp.
            prior = F.interpolate(features, (height, width), mode="bilinear", antialias=True)
            image = torch.cat([image, F.interpolate(features, size, mode="bilinear", antialias=True)], dim=1)
        logits = self._frame_logits(image)
        if self.flip:
            logits = (logits + self._frame_logits(image.flip(-1), mirror=True).flip(-1)) / 2
        if size != (height, width):
            logits = F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
        return logits if features is None else logits + self._prior_logits(prior)

    def _frame_logits(self, image: Tensor, mirror: bool = False) -> Tensor:
        """Logits of whole frames at the working resolution, in one piece or in tiles."""
        frame: Size = (image.shape[-2], image.shape[-1])

        def logits_of(origin: tuple[int, int], size: Size) -> Tensor:
            """Logits of a region, computed with its surroundings up to the network's margin."""
            start, full = padded(origin, size, self.network)
            positions = coordinates(full, frame, start, image.device)
            if mirror:
                positions = positions * positions.new_tensor([-1.0, 1.0])[:, None, None]
            logits = self._network_logits(region(image, start, full), positions)
            return logits[..., : size[0], : size[1]]

        if self.tile is None:
            return logits_of((0, 0), frame)
        return tiled(logits_of, frame, self.tile, self.overlap, cast(SizeConstraints, self.network).multiple)


def _inputs(batch: MaskSample) -> tuple[Tensor, ...]:
    """Image and, if there are any, features of a batch."""
    return (batch["image"], batch["features"]) if "features" in batch else (batch["image"],)


def _check_side(key: str, side: int, network: nn.Module) -> None:
    min_size = cast(SizeConstraints, network).min_size
    if side < min_size:
        raise ConfigError(
            key,
            found=f"{side} pixels",
            expected=f"at least {min_size}, because of the network's receptive field",
            hint="raise it, use padding=zero or reduce the network's depth",
        )
