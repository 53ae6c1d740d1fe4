"""A generator that trains quickly: a colour map fitted in closed form, and small networks that refine it."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from dreaming.constraints import Channels, NonNegativeInt, PositiveFloat, PositiveInt
from dreaming.networks.colour_map import ColourMap, edge_preserving_mean, receptive_radius, sampling_step
from dreaming.networks.pixel_head import PixelHead

PIXELS = 2**19
"""Pixels of all keyframes together that the warm start trains on; 60 MB per 2^18."""

PIXEL_STEPS_PER_STEP = 6
"""Largest number of steps on single pixels for each step on patches that follows, so that a preview starts soon."""

LOGIT_BOUND = 6.0
"""Upper bound of the logit of a guide's share, which is 99.75 % at this value."""


class DilatedBlock(nn.Module):
    """``x + conv1(relu(conv3(x)))``, dilated; ``scale`` is the factor of the change at the start of training."""

    def __init__(self, width: int, dilation: int, scale: float) -> None:
        super().__init__()
        self.look = nn.Conv2d(width, width, kernel_size=3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv2d(width, width, kernel_size=1)
        # Without normalisation the changes of all blocks would add up to a large one.
        nn.init.kaiming_normal_(self.look.weight, nonlinearity="relu")
        nn.init.kaiming_normal_(self.mix.weight, nonlinearity="linear")
        self.mix.weight.data *= scale
        for layer in (self.look, self.mix):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        changed: Tensor = self.mix(functional.relu(self.look(features)))
        return features + changed


class FastGenerator(nn.Module):
    """Paint a frame as a blend of a refined colour map and of guides that show a painting.

    A convolutional network at half resolution (on blocks of 2x2 pixels) sees shapes. A pixel-wise network at full
    resolution makes the colours from its features, from the frame, and from edge-preserving means of the frame, because
    painters smooth over tens of pixels. The refinement starts at zero and the guides' share is small, so the untrained
    generator returns the colour map. ``warm_start`` trains the pixel-wise network on single pixels, which takes seconds
    where training on patches takes minutes.

    Args:
        channels: Input channels: 3 for RGB plus those of the guides.
        painted: First of each three input channels that show a painting of the frame.
        width: Channels of the network at half resolution.
        dilations: Dilations of its blocks, in pixels at half resolution.
        radii: Radii of the colour map's edge-preserving filters, in pixels.
        contrast: Variance of colours in -1..1 above which these filters keep an edge.
        means: Radii in pixels of further filters, in sequence, whose results only the networks see.
        shape_channels: Channels that the network at half resolution passes to the one at full resolution.
        pixel_width: Channels of the network at full resolution.
        frequencies: Frequencies of its waves of colour, in half periods over half the range of colours.
        pixel_steps: Training steps of that network in ``warm_start``, at most.
    """

    kind: ClassVar[str] = "fast_generator"

    warm: Tensor

    def __init__(
        self,
        *,
        channels: Channels = 3,
        painted: Sequence[int] = (),
        width: Channels = 48,
        dilations: Sequence[PositiveInt] = (1, 2, 4, 8, 2, 1),
        radii: Sequence[PositiveInt] = (2, 4),
        contrast: PositiveFloat = 0.02,
        means: Sequence[PositiveInt] = (8, 16),
        shape_channels: Channels = 8,
        pixel_width: Channels = 48,
        frequencies: Sequence[PositiveFloat] = (4, 8, 16),
        pixel_steps: NonNegativeInt = 1500,
    ) -> None:
        super().__init__()
        self.painted = tuple(painted)
        self.colours = ColourMap(radii=radii, contrast=contrast)
        self.means, self.contrast, self.shape_channels = tuple(means), contrast, shape_channels
        self.pixel_steps = pixel_steps
        surroundings = 3 * (2 + len(self.means))  # the colour map and all means
        self.enter = nn.Conv2d(4 * (channels + surroundings), width, kernel_size=3, padding=1)
        self.blocks = nn.Sequential(*(DilatedBlock(width, dilation, len(dilations) ** -0.5) for dilation in dilations))
        # Pixel shuffling makes one channel of four.
        self.leave = nn.Conv2d(width, 4 * shape_channels, kernel_size=3, padding=1)
        self.choose = nn.Conv2d(width, 4 * len(self.painted), kernel_size=3, padding=1) if self.painted else None
        for layer, first in ((self.leave, 0.0), (self.choose, -4.0)):
            if layer is not None and layer.bias is not None:
                nn.init.zeros_(layer.weight)
                nn.init.constant_(layer.bias, first)
        self.head = PixelHead(
            channels=3 + surroundings + shape_channels, colours=6, width=pixel_width, frequencies=frequencies
        )
        self.register_buffer("warm", torch.zeros(()))

    @property
    def multiple(self) -> int:
        """Grid in pixels: tiles that start on it see the same blocks as the whole frame."""
        return max(2, self.colours.multiple, *map(sampling_step, self.means))

    @property
    def margin(self) -> int:
        """Radius of the receptive field in pixels."""
        blocks = sum(block.look.dilation[0] for block in self.blocks if isinstance(block, DilatedBlock))
        return 2 * (2 + blocks) + 1 + self.colours.margin + sum(map(receptive_radius, self.means))

    def warm_start(
        self,
        pictures: Iterable[tuple[Tensor, Tensor, Tensor]],
        *,
        until: float | None = None,
        training_steps: int | None = None,
    ) -> None:
        """Fit the colour map, then train the pixel-wise network on single pixels, unless both are done.

        Resumed training therefore keeps its weights. All ``pictures`` of ``ColourMap.fit`` stay in memory, and the
        features of their pixels. ``until`` is that of ``PixelHead.fit``; few ``training_steps`` get fewer pixel steps.
        """
        if self.warm:
            return
        examples = list(pictures)
        self.colours.fit(examples)
        steps = self.pixel_steps
        if training_steps is not None:
            steps = min(steps, PIXEL_STEPS_PER_STEP * training_steps)
        if steps:
            self.head.fit(*self._pixels(examples), steps=steps, until=until)
        self.warm.fill_(1)

    @torch.no_grad()
    def _pixels(self, pictures: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
        """Features (N, C), colours (N, 6) and target changes (N, 3) of random pixels to train on."""
        rng = torch.Generator().manual_seed(0)
        parts = []
        for image, target, mask in pictures:
            index = mask.flatten().nonzero()[:, 0]
            index = index[torch.randperm(len(index), generator=rng)[: PIXELS // len(pictures)]]
            frame = image[None].to(self.warm.device)
            smooth, mapped = self._surroundings(frame)
            no_shapes = frame.new_zeros(1, self.shape_channels, *frame.shape[-2:])
            features = torch.cat((frame, *smooth, mapped, no_shapes), dim=1)
            changes = target[None].to(frame.device) - mapped
            colours = torch.cat((mapped, smooth[-1]), dim=1)
            parts.append([maps[0].flatten(1)[:, index.to(frame.device)].T for maps in (features, colours, changes)])
        features, colours, changes = (torch.cat(rows) for rows in zip(*parts, strict=True))
        return features, colours, changes

    @torch.no_grad()
    def _surroundings(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Edge-preserving means of growing radius and the colour map's result, all (B, 3, H, W) float32."""
        with torch.autocast(image.device.type, enabled=False):
            image = image.contiguous()  # box means are a third faster than with channels last
            smooth = [self.colours.smoothed(image)]
            mapped = self.colours(image, smooth[0])
            for radius in self.means:
                smooth.append(edge_preserving_mean(smooth[-1], radius, self.contrast))
        return smooth, mapped

    def forward(self, frame: Tensor) -> Tensor:
        """Map (B, channels, H, W) in -1..1 to (B, 3, H, W), clipped to -1..1 except in training."""
        height, width = frame.shape[-2:]
        smooth, mapped = self._surroundings(frame[:, :3])
        inputs = torch.cat((frame, *smooth, mapped), dim=1)
        blocks = functional.pixel_unshuffle(functional.pad(inputs, (0, width % 2, 0, height % 2)), 2)
        features = self.blocks(functional.relu(self.enter(blocks)))
        shapes = functional.pixel_shuffle(self.leave(features), 2)[..., :height, :width]
        inputs = torch.cat((frame[:, :3], *smooth, mapped, shapes), dim=1)
        image = mapped + self.head(inputs, torch.cat((mapped, smooth[-1]), dim=1)).float()
        if self.choose is not None:
            # Guides are blended in last: the refinement suits the colour map, not a painting.
            logits = functional.pixel_shuffle(self.choose(rms_normalised(features)), 2)[..., :height, :width].float()
            # If copying a guide is better everywhere at first, features without normalisation grow by orders of
            # magnitude within a dozen steps, and a plain sigmoid saturates: its gradient vanishes.
            above = functional.relu(logits)
            shares = (logits - above + LOGIT_BOUND * functional.softsign(above / LOGIT_BOUND)).sigmoid()
            for index, first in enumerate(self.painted):
                image = torch.lerp(image, frame[:, first : first + 3].float(), shares[:, index, None])
        return image if self.training else image.clamp(-1, 1)


def rms_normalised(features: Tensor) -> Tensor:
    """Scale (B, C, H, W) to a mean square of 1 over the channels of each pixel (Zhang and Sennrich 2019)."""
    square = features.float().square().mean(dim=1, keepdim=True)
    return features * torch.rsqrt(square + 1e-6).to(features.dtype)
