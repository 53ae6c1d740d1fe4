"""Networks that fuse the masks of several maskers, from their mean to a gate that weights each masker at each pixel.

Inputs of any size have these channels: a normalised frame (3), one probability per masker (M), the difference of each
probability from those of the neighbouring frames (M), and the distance to the nearest hand mask (1, see
``data.mask_stack``). Outputs are logits.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dreaming.constraints import Channels, Depth, KernelSize, PositiveInt
from dreaming.errors import ParameterError
from dreaming.networks.position import Encoding
from dreaming.networks.separable import Norm, Padding
from dreaming.networks.unet import UNet

PROB_EPS = 0.01
"""Probabilities are clipped to this distance from 0 and 1, about the precision of 8-bit masks."""
FRAME, GAP = 3, 1  # channels
CELL = 4  # pixels: local features are computed on cells of this side


def probabilities(image: Tensor) -> Tensor:
    """Probabilities (B, M, H, W) in the input of a fusion head."""
    return image[:, FRAME:-GAP].chunk(2, dim=1)[0]


def temporal_differences(image: Tensor) -> Tensor:
    """Differences (B, M, H, W) in 0..1 of the probabilities from those of the neighbouring frames."""
    return image[:, FRAME:-GAP].chunk(2, dim=1)[1]


def logits_of(probability: Tensor) -> Tensor:
    """Finite logits of probabilities in 0..1."""
    return probability.clamp(PROB_EPS, 1 - PROB_EPS).logit()


class FusionHead(nn.Module):
    """Base of the fusion heads; ``prior_weight`` is the initial weight of each masker, above 0, None: equal."""

    margin, multiple, residue, min_size = 0, 1, 0, 1
    initial_weights: Tensor

    def __init__(self, *, in_channels: int, prior_weight: Sequence[float] | None = None) -> None:
        super().__init__()
        self.maskers, odd = divmod(in_channels - FRAME - GAP, 2)
        assert self.maskers >= 1, "at least one masker"
        assert not odd, "two channels per masker"
        weights = (
            torch.ones(self.maskers) if prior_weight is None else torch.as_tensor(prior_weight, dtype=torch.float32)
        )
        assert weights.shape == (self.maskers,), "one weight per masker"
        assert (weights > 0).all(), "weights above 0"
        # From the config, so not part of a checkpoint.
        self.register_buffer("initial_weights", (weights / weights.sum())[:, None, None], persistent=False)

    def forward(self, image: Tensor, positions: Tensor | None = None) -> Tensor:
        """Fuse (B, in_channels, H, W) to logits (B, 1, H, W); ``positions`` have no effect."""
        raise NotImplementedError


class MeanFusion(FusionHead):
    """Weighted mean of the probabilities, without trained parameters."""

    kind: ClassVar[str] = "mean_fusion"

    def forward(self, image: Tensor, positions: Tensor | None = None) -> Tensor:
        """Fuse (B, in_channels, H, W) to logits (B, 1, H, W); ``positions`` have no effect."""
        return logits_of((self.initial_weights * probabilities(image)).sum(dim=1, keepdim=True))


class VoteFusion(FusionHead):
    """Majority vote, without weights; the mean probability decides ties."""

    kind: ClassVar[str] = "vote_fusion"

    def forward(self, image: Tensor, positions: Tensor | None = None) -> Tensor:
        """Fuse (B, in_channels, H, W) to logits (B, 1, H, W); ``positions`` have no effect."""
        probability = probabilities(image)
        share = (probability > 0.5).float().mean(dim=1, keepdim=True)
        mean = probability.mean(dim=1, keepdim=True)
        # The mean counts less than one vote of up to 255 maskers.
        return logits_of(share + (mean - 0.5) / 256)


class ConvFusion(FusionHead):
    """One convolution of the maskers' logits, initially their weighted mean; 1 x 1: logistic regression.

    Raises:
        ParameterError: If ``kernel_size`` (pixels) is even.
    """

    kind: ClassVar[str] = "conv_fusion"

    def __init__(
        self,
        *,
        in_channels: int,
        prior_weight: Sequence[float] | None = None,
        kernel_size: KernelSize = 1,
    ) -> None:
        super().__init__(in_channels=in_channels, prior_weight=prior_weight)
        _check_odd("kernel_size", kernel_size)
        self.layer = nn.Conv2d(
            self.maskers,
            1,
            kernel_size,
            padding=kernel_size // 2,
            padding_mode="zeros" if kernel_size == 1 else "reflect",
        )
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)  # type: ignore[arg-type]  # None only without a bias
        with torch.no_grad():
            self.layer.weight[0, :, kernel_size // 2, kernel_size // 2] = self.initial_weights[:, 0, 0]

    def forward(self, image: Tensor, positions: Tensor | None = None) -> Tensor:
        """Fuse (B, in_channels, H, W) to logits (B, 1, H, W); ``positions`` have no effect."""
        logits: Tensor = self.layer(logits_of(probabilities(image)))
        return logits


class UNetFusion(FusionHead):
    """A U-Net of the probabilities only, as in 2021 (then with valid convolutions and crops of 252 pixels).

    The arguments are those of ``UNet``; ``prior_weight`` has no effect, because its initial weights are random.
    """

    kind: ClassVar[str] = "u_net_fusion"

    def __init__(
        self,
        *,
        in_channels: int,
        prior_weight: Sequence[float] | None = None,
        depth: Depth = 3,
        width: Channels = 4,
        separable: bool = False,
        positional_encoding: Encoding = "none",
        padding: Padding = "zero",
        norm: Norm = "batch",
    ) -> None:
        super().__init__(in_channels=in_channels, prior_weight=prior_weight)
        self.network = UNet(
            in_channels=self.maskers,
            depth=depth,
            width=width,
            separable=separable,
            positional_encoding=positional_encoding,
            padding=padding,
            norm=norm,
        )
        self.margin, self.multiple, self.residue = self.network.margin, self.network.multiple, self.network.residue
        self.min_size = self.network.min_size

    def forward(self, image: Tensor, positions: Tensor | None = None) -> Tensor:
        """Fuse (B, in_channels, H, W) at ``positions`` to logits (B, 1, H - 2 margin, W - 2 margin)."""
        logits: Tensor = self.network(probabilities(image) - 0.5, positions)
        return logits


class GatedFusion(FusionHead):
    """A softmax gate over the maskers' logits that depends on how reliable each masker looks at a pixel.

    For masker m with logit l_m, prior weight t_m and features f_m the gate is g = softmax_m(log t_m + b_m + w . f_m +
    v_m . f), and the output is scale * sum_m(g_m l_m) + shift.

    Features of a masker: its confidence; its difference from the other maskers, at the pixel and in the window; the
    roughness of its map in the window; the frame's gradient where its map has one; its difference from its own maps of
    the neighbouring frames. Shared features: disagreement of the maskers in the window, and distance to the nearest
    hand mask. The dozen parameters start at 0, so the initial output is the weighted mean. Weight decay keeps them near
    it if there are few hand masks.

    Raises:
        ParameterError: If ``window``, its side in cells of ``CELL`` pixels, is even.
    """

    kind: ClassVar[str] = "gated_fusion"

    def __init__(
        self, *, in_channels: int, prior_weight: Sequence[float] | None = None, window: PositiveInt = 5
    ) -> None:
        super().__init__(in_channels=in_channels, prior_weight=prior_weight)
        _check_odd("window", window)
        self.window = window
        self.bias = nn.Parameter(torch.zeros(self.maskers))
        self.shared = nn.Parameter(torch.zeros(6))
        self.own = nn.Parameter(torch.zeros(self.maskers, 2))
        self.scale = nn.Parameter(torch.zeros(()))
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, image: Tensor, positions: Tensor | None = None) -> Tensor:
        """Fuse (B, in_channels, H, W) to logits (B, 1, H, W); ``positions`` have no effect."""
        probability = probabilities(image)
        logits = logits_of(probability)
        prior = self.initial_weights.log() + self.bias[:, None, None]
        gate = (prior + self._own_score(image, probability, logits) + self._shared_score(image, probability)).softmax(
            dim=1
        )
        return self.scale.exp() * (gate * logits).sum(dim=1, keepdim=True) + self.shift

    def _own_score(self, image: Tensor, probability: Tensor, logits: Tensor) -> Tensor:
        """Term of each masker's own features in its score, (B, M, H, W)."""
        deviation = (probability - probability.mean(dim=1, keepdim=True)).abs()
        roughness = steepness(probability)
        edge = steepness(image[:, :FRAME]).mean(dim=1, keepdim=True)
        features = (
            logits.abs() / math.log(1 / PROB_EPS - 1),
            2 * deviation,
            4 * self._window_mean(deviation),
            4 * self._window_mean(roughness),
            4 * self._window_mean(roughness * (edge.clamp(max=2) - 1)),
            4 * self._window_mean(temporal_differences(image)),
        )
        return torch.stack([weight * feature for weight, feature in zip(self.shared, features, strict=True)]).sum(0)

    def _shared_score(self, image: Tensor, probability: Tensor) -> Tensor:
        """Term of the shared features in each masker's score, (B, M, H, W)."""
        disagreement = 4 * self._window_mean(probability.std(dim=1, keepdim=True, correction=0))
        shared = torch.cat([disagreement, image[:, -GAP:]], dim=1)  # (B, 2, H, W)
        return torch.einsum("mf,bfhw->bmhw", self.own, shared)

    def _window_mean(self, feature: Tensor) -> Tensor:
        """Mean of (B, C, H, W) over the window around each pixel."""
        if min(feature.shape[-2:]) < CELL:
            return feature
        cells = F.avg_pool2d(feature, CELL, ceil_mode=True, count_include_pad=False)
        mean = F.avg_pool2d(cells, self.window, stride=1, padding=self.window // 2, count_include_pad=False)
        return F.interpolate(mean, feature.shape[-2:], mode="bilinear", align_corners=False)


def steepness(image: Tensor) -> Tensor:
    """Sum of absolute differences to the neighbours on the right and below, (B, C, H, W); 0 beyond the border."""
    right = F.pad((image[..., :, 1:] - image[..., :, :-1]).abs(), (0, 1))
    below = F.pad((image[..., 1:, :] - image[..., :-1, :]).abs(), (0, 0, 0, 1))
    return right + below


def _check_odd(name: str, value: int) -> None:
    if value % 2 == 0:
        raise ParameterError(name, found=value, expected="an odd number")
