"""Networks that make one mask of several: from the mean of them to one that weighs each, pixel by pixel.

All take pictures whose channels are a normalised frame (3), one probability for each masker (M), by how much each
differs from its neighbours in time (M), and the distance to the nearest hand mask (1, see ``data.mask_stack``), and
return logits; a picture of any size will do.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from dreaming.networks.position import Encoding
from dreaming.networks.separable import Norm, Padding
from dreaming.networks.unet import UNet

PROB_EPS = 0.01
"""Probabilities are taken for at least this and at most the rest; what is kept in 8 bits is no surer."""
FRAME, GAP = 3, 1  # channels
CELL = 4  # pixels: local features are made at this fraction of the resolution


def probabilities(image: Tensor) -> Tensor:
    """What each masker found, channels (B, M, H, W) of a mixer's picture."""
    return image[:, FRAME:-GAP].chunk(2, dim=1)[0]


def unsteadiness(image: Tensor) -> Tensor:
    """How far each masker is from what it found in the frames before and after, (B, M, H, W) in 0..1."""
    return image[:, FRAME:-GAP].chunk(2, dim=1)[1]


def logits_of(probability: Tensor) -> Tensor:
    """Logits of probabilities in 0..1, finite for 0 and 1 too."""
    return probability.clamp(PROB_EPS, 1 - PROB_EPS).logit()


class FusionHead(nn.Module):
    """What all have in common: each pixel of the picture gets a logit, whatever the picture's size.

    Args:
        in_channels: Channels of the picture.
        trust: Weight that each masker begins with; None: all alike. Where nothing is learnt it stays so.
    """

    margin, multiple, residue, min_size = 0, 1, 0, 1
    share: Tensor

    def __init__(self, *, in_channels: int, prior_weight: Sequence[float] | None = None) -> None:
        super().__init__()
        self.maskers, odd = divmod(in_channels - FRAME - GAP, 2)
        assert self.maskers >= 1, "a mixer needs something to mix"
        assert not odd, "each masker has a probability and its unsteadiness"
        weights = (
            torch.ones(self.maskers) if prior_weight is None else torch.as_tensor(prior_weight, dtype=torch.float32)
        )
        assert weights.shape == (self.maskers,), "each masker has its weight"
        assert (weights > 0).all(), "a masker of no weight is better left out"
        # Known from the config, so no part of what is learnt.
        self.register_buffer("share", (weights / weights.sum())[:, None, None], persistent=False)

    def forward(self, image: Tensor, places: Tensor | None = None) -> Tensor:
        """Logits (B, 1, H, W) of a picture (B, in_channels, H, W); its ``places`` are of no use here."""
        return self.mix(image)

    def mix(self, image: Tensor) -> Tensor:
        """Logits (B, 1, H, W) of a picture (B, in_channels, H, W)."""
        raise NotImplementedError


class MeanFusion(FusionHead):
    """The weighted mean of the probabilities; nothing is learnt."""

    kind: ClassVar[str] = "mean_fusion"

    def mix(self, image: Tensor) -> Tensor:
        """Logits (B, 1, H, W) of a picture (B, in_channels, H, W)."""
        return logits_of((self.share * probabilities(image)).sum(dim=1, keepdim=True))


class VoteFusion(FusionHead):
    """As many maskers as say so, whatever their weight; where they are divided evenly, the plain mean decides."""

    kind: ClassVar[str] = "vote_fusion"

    def mix(self, image: Tensor) -> Tensor:
        """Logits (B, 1, H, W) of a picture (B, in_channels, H, W)."""
        probability = probabilities(image)
        share = (probability > 0.5).float().mean(dim=1, keepdim=True)
        mean = probability.mean(dim=1, keepdim=True)
        # Less than one vote in any number of maskers that fits into 8 bits.
        return logits_of(share + (mean - 0.5) / 256)


class ConvFusion(FusionHead):
    """One k x k convolution of the maskers' logits, at first their weighted mean; with 1 x 1 logistic regression.

    Args:
        in_channels: Channels of the picture.
        trust: Weight that each masker begins with; None: all alike.
        kernel_size: Its side in pixels, odd.
    """

    kind: ClassVar[str] = "conv_fusion"

    def __init__(self, *, in_channels: int, prior_weight: Sequence[float] | None = None, kernel_size: int = 1) -> None:
        super().__init__(in_channels=in_channels, prior_weight=prior_weight)
        self.layer = nn.Conv2d(
            self.maskers,
            1,
            kernel_size,
            padding=kernel_size // 2,
            padding_mode="zeros" if kernel_size == 1 else "reflect",
        )
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.layer.weight[0, :, kernel_size // 2, kernel_size // 2] = self.share[:, 0, 0]

    def mix(self, image: Tensor) -> Tensor:
        """Logits (B, 1, H, W) of a picture (B, in_channels, H, W)."""
        logits: Tensor = self.layer(logits_of(probabilities(image)))
        return logits


class UNetFusion(FusionHead):
    """A UNet that sees the probabilities alone, as in 2021, when it had valid convolutions and crops of 252.

    Args:
        in_channels: Channels of the picture.
        trust: Of no use to it: it begins with random weights.
        depth: How often the map is halved.
        width: Channels of the first level.
        thin: Depthwise separable convolutions instead of full ones.
        positional_encoding: ``none``, ``linear`` or ``sin``.
        padding: What stands beyond the border; with ``none`` the output is smaller than the input.
        norm: Normalisation after every convolution.
    """

    kind: ClassVar[str] = "u_net_fusion"

    def __init__(
        self,
        *,
        in_channels: int,
        prior_weight: Sequence[float] | None = None,
        depth: int = 3,
        width: int = 4,
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

    def forward(self, image: Tensor, places: Tensor | None = None) -> Tensor:
        """Logits (B, 1, H - 2 margin, W - 2 margin) of a picture (B, in_channels, H, W) at these places."""
        logits: Tensor = self.network(probabilities(image) - 0.5, places)
        return logits


class GatedFusion(FusionHead):
    """Each pixel trusts each masker as far as it looks reliable there: a softmax gate over the maskers' logits.

    For masker m with logit l_m, weight t_m and features f_m the gate is
    g = softmax_m(log t_m + b_m + w . f_m + v_m . f), the result scale sum_m g_m l_m + shift: a convex combination,
    sharpened. Features of a masker: how sure it is, how far it is from the others here and around, how rough its own
    map is around, how steep the frame is where its map is steep, how far it is here and around from its own maps of the
    neighbouring frames. Features of all: how much the maskers disagree around,
    the distance to the nearest hand mask. A dozen parameters, all 0 at the start, so that it begins as the weighted
    mean, and a little weight decay keeps it near where few masks say little.

    Args:
        in_channels: Channels of the picture.
        trust: Weight that each masker begins with; None: all alike.
        window: Cells of ``CELL`` pixels, odd: side of the window that "around" means.
    """

    kind: ClassVar[str] = "gated_fusion"

    def __init__(self, *, in_channels: int, prior_weight: Sequence[float] | None = None, window: int = 5) -> None:
        super().__init__(in_channels=in_channels, prior_weight=prior_weight)
        self.window = window
        self.prior_weight = nn.Parameter(torch.zeros(self.maskers))
        self.shared = nn.Parameter(torch.zeros(6))
        self.own = nn.Parameter(torch.zeros(self.maskers, 2))
        self.scale = nn.Parameter(torch.zeros(()))
        self.shift = nn.Parameter(torch.zeros(()))

    def mix(self, image: Tensor) -> Tensor:
        """Logits (B, 1, H, W) of a picture (B, in_channels, H, W)."""
        probability = probabilities(image)
        logits = logits_of(probability)
        prior = self.share.log() + self.prior_weight[:, None, None]
        gate = (prior + self._of_each(image, probability, logits) + self._of_all(image, probability)).softmax(dim=1)
        return self.scale.exp() * (gate * logits).sum(dim=1, keepdim=True) + self.shift

    def _of_each(self, image: Tensor, probability: Tensor, logits: Tensor) -> Tensor:
        """What each masker's own features add to its score, (B, M, H, W)."""
        apart = (probability - probability.mean(dim=1, keepdim=True)).abs()
        rough = steepness(probability)
        edge = steepness(image[:, :FRAME]).mean(dim=1, keepdim=True)
        features = (
            logits.abs() / math.log(1 / PROB_EPS - 1),
            2 * apart,
            4 * self._around(apart),
            4 * self._around(rough),
            4 * self._around(rough * (edge.clamp(max=2) - 1)),
            4 * self._around(unsteadiness(image)),
        )
        return torch.stack([weight * feature for weight, feature in zip(self.shared, features, strict=True)]).sum(0)

    def _of_all(self, image: Tensor, probability: Tensor) -> Tensor:
        """What the shared features add to each masker's score, (B, M, H, W)."""
        dissent = 4 * self._around(probability.std(dim=1, keepdim=True, correction=0))
        shared = torch.cat([dissent, image[:, -GAP:]], dim=1)  # (B, 2, H, W)
        return torch.einsum("mf,bfhw->bmhw", self.own, shared)

    def _around(self, feature: Tensor) -> Tensor:
        """Mean of a feature (B, C, H, W) over the window around each pixel."""
        if min(feature.shape[-2:]) < CELL:
            return feature
        cells = F.avg_pool2d(feature, CELL, ceil_mode=True, count_include_pad=False)
        mean = F.avg_pool2d(cells, self.window, stride=1, padding=self.window // 2, count_include_pad=False)
        return F.interpolate(mean, feature.shape[-2:], mode="bilinear", align_corners=False)


def steepness(picture: Tensor) -> Tensor:
    """Sum of absolute differences to the neighbours on the right and below, (B, C, H, W); 0 beyond the border."""
    right = F.pad((picture[..., :, 1:] - picture[..., :, :-1]).abs(), (0, 1))
    below = F.pad((picture[..., 1:, :] - picture[..., :-1, :]).abs(), (0, 0, 0, 1))
    return right + below
