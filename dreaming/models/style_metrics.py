"""How good a style network is on what it has not learnt, as the figures by which its best checkpoint is chosen."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.functional.image import structural_similarity_index_measure

from dreaming.data.frame_pairs import PairSample
from dreaming.errors import ConfigError
from dreaming.losses.style import feature_distance, gradient, unsteadiness


@dataclass(frozen=True)
class CompositeScore:
    """``val/quality`` = likeness * sharpness^a / ((1 + flicker)^b (1 + perceptual)^c): a, b, c are a matter of taste.

    Likeness alone prefers pictures that are blurred wherever strokes cannot be foretold.

    Attributes:
        sharpness: The power a; at 0.1 a tenth of the sharpness weighs as much as a hundredth of the likeness.
        flicker: The power b; at 0.1 a tenth of the source's own flicker weighs as much as 0.006 of the likeness.
        perceptual: The power c of the distance between VGG's features; above 0 its weights are needed.
    """

    kind: ClassVar[str] = "composite_score"

    sharpness: float = 0.1
    flicker: float = 0.0
    perceptual: float = 0.0

    def __post_init__(self) -> None:
        for key, value in asdict(self).items():
            if not value >= 0:
                where = f"model.style.module.quality.{key}"
                raise ConfigError(where, found=str(value), expected="a power, 0 or more", hint="correct it")

    def of(self, found: Mapping[str, Tensor]) -> Tensor:
        """The value, of figures as ``StyleMetrics`` measures them; without ``flicker`` there was nothing to flicker."""
        faults = [(1 + found[name]) ** getattr(self, name) for name in ("flicker", "perceptual") if name in found]
        return found["likeness"].clamp(min=0) * found["sharpness"] ** self.sharpness / math.prod(faults)


class StyleMetrics(nn.Module):
    """Measures held-out windows over a validation, all of them as one.

    ``likeness`` is SSIM (11x11 Gaussian), ``loss`` the mean absolute difference, ``sharpness`` the ratio of mean
    gradients, the smaller by the larger, ``perceptual`` the distance between VGG's features, where it is there to
    give them. With the ``carried`` guide they are better than in frames without a keyframe:
    a window sees its own strokes, carried away and back again, which no unpainted frame does. They tell checkpoints
    apart, not how good the clip will look.
    """

    def __init__(self) -> None:
        super().__init__()
        self.likeness, self.distance = MeanMetric(), MeanMetric()
        self.strokes, self.painted_strokes = MeanMetric(), MeanMetric()
        self.features = MeanMetric()

    def update(self, generated: Tensor, styled: Tensor, mask: Tensor, vgg: nn.Module | None = None) -> None:
        """Measure windows.

        Args:
            generated: (B, 3, H, W) in -1..1.
            styled: The painter's, alike.
            mask: (B, 1, H, W) bool, the pixels that count.
            vgg: Gives feature maps; None: there are none to compare.
        """
        weight = mask.float()
        if vgg is not None:
            distance = feature_distance(vgg(torch.where(mask, generated, styled)), vgg(styled))
            self.features.update(distance, weight=weight.sum())
        # SSIM's constants are meant for colours that begin at zero.
        generated, styled = (generated + 1) / 2, (styled + 1) / 2
        # Its variances are small differences of squares, of which half precision leaves nothing.
        with torch.autocast(generated.device.type, enabled=False):
            measured = structural_similarity_index_measure(generated, styled, data_range=1.0, return_full_image=True)
        self.likeness.update(measured[1], weight=weight.expand_as(styled))
        self.distance.update((generated - styled).abs(), weight=weight.expand_as(styled))
        self.strokes.update(gradient(generated), weight=weight)
        self.painted_strokes.update(gradient(styled), weight=weight)

    def compute(self) -> dict[str, Tensor]:
        """All figures, and begin anew."""
        strokes, painted = self.strokes.compute(), self.painted_strokes.compute()
        sharpness = torch.minimum(strokes, painted) / torch.maximum(strokes, painted).clamp(min=1e-6)
        found = {"likeness": self.likeness.compute(), "sharpness": sharpness, "loss": self.distance.compute()}
        if self.features.update_called:
            found["perceptual"] = self.features.compute()
        for metric in (self.likeness, self.distance, self.strokes, self.painted_strokes, self.features):
            metric.reset()
        return found


def flicker_of(run: Callable[[Tensor], Tensor], pair: PairSample) -> Tensor:
    """How much stylised pairs flicker along the flow, as a ratio to what the frames themselves do.

    Args:
        run: Stylises frames (B, 3 + c, S, S) in -1..1.
        pair: Pairs of crops; one at a time is run, for they are a little larger than a training batch.
    """
    ours, theirs = [], []
    for place in range(len(pair["seen"])):
        one = slice(place, place + 1)
        before, after, motion, seen = (pair[name][one] for name in ("before", "after", "motion", "seen"))
        ours.append(unsteadiness(run(before), run(after), motion, seen))
        theirs.append(unsteadiness(before[:, :3], after[:, :3], motion, seen))
    return torch.stack(ours).sum() / torch.stack(theirs).sum().clamp(min=1e-3)
