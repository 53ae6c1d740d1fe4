"""What every segmenter shares: one step for training, validation and test, and prediction of frames of any size."""

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Literal, TypeAlias, cast

import torch
import torch.nn.functional as F  # noqa: N812
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import BinaryAccuracy

from dreaming.data.base import MaskSample
from dreaming.errors import ConfigError
from dreaming.imaging.colour_statistics import ColourStatistics
from dreaming.imaging.overlay import overlay
from dreaming.imaging.resize import working_size
from dreaming.io.types import Image, Size
from dreaming.losses.mask import mask_terms
from dreaming.metrics.boundary import BoundaryF
from dreaming.metrics.region import FrameJaccard
from dreaming.models.tiling import SizeConstraints, fitting, padded, region, tiled
from dreaming.networks.position import centre, coordinates

Stage: TypeAlias = Literal["train", "val", "test"]

PROB_EPS = 0.01
"""A mask among the evidence is taken for no surer than this far from 0 and 1."""


class SegmentationModule(LightningModule):
    """Learns one video's masks from a few of its frames.

    Args:
        network: Makes the network: ``network(in_channels=...)``. The network takes a normalised picture and its
            places, returns logits, and says its ``margin``, ``multiple``, ``residue`` and ``least``.
        optimizer: Makes the optimiser: ``optimizer(parameters, lr=...)``.
        lr: Learning rate.
        loss_weights: What each term of ``losses.mask`` counts; a term that is left out counts nothing.
        statistics: The clip's colours; ``NEUTRAL`` where a checkpoint is about to bring its own.
        positive_weight: What a foreground pixel counts in the cross-entropy against one of the background.
        short_side: The working resolution: frames are brought down to this shorter side in pixels before the network,
            logits back up behind it; None: as they are. Training crops come at that resolution already.
        tile: Side in working pixels of the tiles that a frame is cut into for prediction; None: whole frames.
        overlap: Working pixels by which neighbouring tiles overlap, blended linearly.
        flip: Average each prediction with that of the mirrored frame.
        channels_last: Lay features out channel by channel in memory; faster on most devices.
        features: Channels of evidence that the network is given beside the picture.
        position: Whether it is given each pixel's place, in the way that its ``positional_encoding`` says.
        prior: Channel of the evidence that is a mask already, in 0..1: the network learns what to add to its logit,
            and how much that counts; None: none is.

    Raises:
        ConfigError: If a loss term has no such name.
    """

    kind: ClassVar[str] = "segmentation_module"

    INFERENCE_ONLY: ClassVar[Mapping[str, object]] = {"channels_last": True}
    """Arguments that training is the same with, and the value that stands for all; by tiles and flips it validates."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        network: Callable[..., nn.Module],
        optimizer: Callable[..., Optimizer],
        lr: float,
        loss_weights: Mapping[str, float],
        statistics: ColourStatistics,
        positive_weight: float = 1.0,
        short_side: int | None = None,
        tile: int | None = None,
        overlap: int = 64,
        flip: bool = False,
        channels_last: bool = True,
        features: int = 0,
        position: bool = True,
        prior: int | None = None,
    ) -> None:
        super().__init__()
        self.prior = prior
        if prior is not None:
            self.trust = nn.Parameter(torch.tensor(0.5))
        without_place = {} if position else {"positional_encoding": "none"}
        self.network = network(in_channels=3 + features, **without_place)
        self.optimizer, self.lr, self.loss_weights = optimizer, lr, dict(loss_weights)
        self.positive_weight, self.short_side, self.flip = positive_weight, short_side, flip
        self.tile, self.overlap = tile, overlap
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.register_buffer("mean", torch.as_tensor(statistics.mean, dtype=torch.float32))
        # A clip of one flat colour has no deviation to divide by.
        deviation = torch.as_tensor(statistics.deviation, dtype=torch.float32)
        self.register_buffer("deviation", deviation.clamp(min=1 / 255))
        terms = mask_terms(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1))
        for name in self.loss_weights:
            if name not in terms:
                raise ConfigError(
                    f"loss_weights.{name}", found="no such term", expected=" or ".join(terms), hint="correct its name"
                )
        scores: dict[str, Metric | MetricCollection] = {
            "jaccard": FrameJaccard(),
            "accuracy": BinaryAccuracy(),
            "boundary_f": BoundaryF(),
        }
        # Groups would merge two metrics whose first values happen to be equal.
        self.scores = nn.ModuleDict(
            {
                f"{stage}_scores": MetricCollection(scores, prefix=f"{stage}/", compute_groups=False).clone()
                for stage in ("val", "test")
            }
        )

    def configure_optimizers(self) -> Optimizer:
        """The optimiser; a schedule of its learning rate belongs to the fit, which knows the budget."""
        return self.optimizer(self._parameters_to_train(), lr=self.lr)

    def _parameters_to_train(self) -> Iterable[Parameter]:
        return (weight for weight in self.parameters() if weight.requires_grad)

    def forward(self, image: Tensor, places: Tensor | None = None) -> Tensor:
        """Logits (B, 1, H - 2 margin, W - 2 margin) of pictures (B, 3 + E, H, W), RGB in 0..1 and evidence."""
        logits = self._network_logits(image, places)
        return logits + self._prior_logits(centre(image[:, 3:], logits))

    def _prior_logits(self, features: Tensor) -> Tensor | float:
        """What the mask in the evidence (B, E, H, W) says, (B, 1, H, W); 0 where there is none."""
        if self.prior is None:
            return 0.0
        return self.trust * features[:, self.prior, None].float().clamp(PROB_EPS, 1 - PROB_EPS).logit()

    def _network_logits(self, image: Tensor, places: Tensor | None = None) -> Tensor:
        """What the network says by itself, or adds to the prior."""
        image = torch.cat([(image[:, :3] - self.mean[:, None, None]) / self.deviation[:, None, None], image[:, 3:]], 1)
        logits: Tensor = self.network(image.contiguous(memory_format=self.layout), places)
        return logits.float()

    def training_step(self, batch: MaskSample, index: int) -> Tensor:
        """The weighted loss of crops."""
        return self._step(batch, "train")

    def validation_step(self, batch: MaskSample, index: int) -> Tensor:
        """The weighted loss of whole frames, and their scores."""
        return self._step(batch, "val")

    def test_step(self, batch: MaskSample, index: int) -> Tensor:
        """The weighted loss of whole frames, and their scores."""
        return self._step(batch, "test")

    def _step(self, batch: MaskSample, stage: Stage) -> Tensor:
        logits = self._crop_logits(batch) if stage == "train" else self.predict_logits(*_seen(batch))
        # Without padding the network says nothing on a crop's border.
        mask = centre(batch["mask"], logits)
        terms = mask_terms(logits, mask, self.positive_weight)
        loss = torch.stack([weight * terms[name] for name, weight in self.loss_weights.items()]).sum()
        values = {f"{stage}/loss": loss.detach()} | {f"{stage}/loss/{name}": term for name, term in terms.items()}
        training, count = stage == "train", len(mask)
        self.log_dict(values, batch_size=count, on_step=training, on_epoch=not training, sync_dist=not training)
        if not training:
            scores = self.scores[f"{stage}_scores"]
            assert isinstance(scores, MetricCollection)
            scores.update(logits.sigmoid(), mask.int())
            self.log_dict(scores, batch_size=count, on_step=False, on_epoch=True)
        return loss

    @torch.no_grad()
    def draw(self, batch: MaskSample) -> list[Image]:
        """Each frame of a validation batch with its found mask over it, in red where it departs from the truth."""
        found = (self.predict_probability(*_seen(batch))[:, 0] > 0.5).cpu().numpy()
        truth = (batch["mask"][:, 0] > 0.5).cpu().numpy()
        frames = batch["image"].mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return [overlay(*each) for each in zip(frames, found, truth, strict=True)]

    def _crop_logits(self, batch: MaskSample) -> Tensor:
        """Logits of training crops, cut to a size that the network can take."""
        image, places = torch.cat([batch["image"], *_seen(batch)[1:]], dim=1), batch["coordinates"]
        _check_side("data.segmentation.crop", image.shape[-1], self.network)
        like = image.new_empty([fitting(length, self.network, cut=True) for length in image.shape[-2:]])
        return self(centre(image, like), centre(places, like))

    def check_sides(self, crop: int | None, frame: Size) -> None:
        """Refuse training crops, or frames of a clip, that the network's convolutions reach across.

        Raises:
            ConfigError: If they do.
        """
        if crop is not None:
            _check_side("data.segmentation.crop", crop, self.network)
        side = min(working_size(frame, self.short_side))
        if self.tile is not None:
            side = min(side, self.tile)
        key = "tile" if side == self.tile else "data.segmentation.short_side"
        _check_side(key, fitting(side, self.network), self.network)

    @torch.no_grad()
    def predict_probability(self, image: Tensor, features: Tensor | None = None) -> Tensor:
        """Probability (B, 1, H, W) in 0..1 that a pixel is foreground.

        Args:
            image: Whole frames of any size, (B, 3, H, W) RGB in 0..1.
            features: (B, E, h, w) of any size, where the network was trained with it.
        """
        return self.predict_logits(image, features).sigmoid()

    def predict_logits(self, image: Tensor, features: Tensor | None = None) -> Tensor:
        """Logits (B, 1, H, W) of whole frames (B, 3, H, W) in 0..1 and evidence (B, E, h, w), whatever their sizes."""
        height, width = image.shape[-2:]
        size = working_size((height, width), self.short_side)
        if size != (height, width):
            # Training crops come from frames that were averaged over areas; an antialiased resize is that.
            image = F.interpolate(image, size, mode="bilinear", antialias=True)
        if features is not None:
            # The prior is finer than what the network works at, and keeps its outline so.
            prior = F.interpolate(features, (height, width), mode="bilinear", antialias=True)
            image = torch.cat([image, F.interpolate(features, size, mode="bilinear", antialias=True)], dim=1)
        logits = self._frame_logits(image)
        if self.flip:
            logits = (logits + self._frame_logits(image.flip(-1), mirror=True).flip(-1)) / 2
        if size != (height, width):
            logits = F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
        return logits if features is None else logits + self._prior_logits(prior)

    def _frame_logits(self, image: Tensor, mirror: bool = False) -> Tensor:
        """Logits of whole frames at the network's resolution, in one piece or in tiles."""
        frame: Size = (image.shape[-2], image.shape[-1])

        def logits_of(origin: tuple[int, int], size: Size) -> Tensor:
            """Logits of a region, which is given the frame around it as far as the network's margin."""
            start, full = padded(origin, size, self.network)
            places = coordinates(full, frame, start, image.device)
            if mirror:
                places = places * places.new_tensor([-1.0, 1.0])[:, None, None]
            logits = self._network_logits(region(image, start, full), places)
            return logits[..., : size[0], : size[1]]

        if self.tile is None:
            return logits_of((0, 0), frame)
        return tiled(logits_of, frame, self.tile, self.overlap, cast(SizeConstraints, self.network).multiple)


def _seen(batch: MaskSample) -> tuple[Tensor, ...]:
    """Picture and, where there is any, evidence of a batch."""
    return (batch["image"], batch["features"]) if "features" in batch else (batch["image"],)


def _check_side(key: str, side: int, network: nn.Module) -> None:
    min_size = cast(SizeConstraints, network).min_size
    if side < min_size:
        raise ConfigError(
            key,
            found=f"{side} pixels",
            expected=f"at least {min_size}, for the network's convolutions reach that far",
            hint="raise it, use padding=zero or make the network less deep",
        )
