"""A generator that needs little time: a colour map, fitted at once, and small networks that change it."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from dreaming.errors import ConfigError
from dreaming.networks.colour_map import ColourMap, edge_preserving_mean, receptive_radius, sampling_step
from dreaming.networks.pixel_head import PixelHead

PIXELS = 2**19
"""Pixels of all keyframes together that a warm start learns from; 60 MB for each 2^18."""

PROB_EPS = 6.0
"""Bound of the logit of what share is copied; at it, a quarter of a per cent is not."""


class DilatedBlock(nn.Module):
    """``x + conv1(relu(conv3(x)))``, the 3x3 convolution's taps lying ``dilation`` apart.

    Args:
        width: Channels of input and output.
        dilation: Pixels between taps.
        share: Factor of the change at the start.
    """

    def __init__(self, width: int, dilation: int, share: float) -> None:
        super().__init__()
        self.look = nn.Conv2d(width, width, kernel_size=3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv2d(width, width, kernel_size=1)
        # Without normalisation the changes of all blocks would add up to a large one.
        nn.init.kaiming_normal_(self.look.weight, nonlinearity="relu")
        nn.init.kaiming_normal_(self.mix.weight, nonlinearity="linear")
        self.mix.weight.data *= share
        for layer in (self.look, self.mix):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        changed: Tensor = self.mix(functional.relu(self.look(features)))
        return features + changed


class FastGenerator(nn.Module):
    """Paints a frame as a blend of its colour map with a learnt change and of guides that are painted already.

    Shapes are seen at half the resolution, on blocks of 2x2 pixels; colours are made at the full one, pixel by pixel,
    from what was seen there, the frame, and edge-preserving means of it, for painters smooth over tens of pixels. The
    change begins as none, with little of the guides: untrained it gives the colour map. What makes the colours is
    trained on single pixels before, which takes seconds where patches take minutes.

    Args:
        channels: Of the input: 3 for RGB plus those of the guides.
        painted: First of each three input channels that are a painted picture of the frame.
        width: Channels of the network at half the resolution.
        dilations: Of its blocks, in pixels of half the resolution.
        radii: Of the squares that the colour map smooths over, in pixels.
        contrast: Variance of colours in -1..1 from which on that takes something for an edge.
        means: Radii in pixels of further such squares, one over the other, for the network alone.
        seen: Channels that the network at half the resolution hands to the one at full resolution.
        pixel_width: Channels of the network at full resolution.
        frequencies: Of the waves of colours it sees, in half periods over half the range of colours.
        pixel_steps: Training steps of that network alone, on single pixels, when the generator is warm-started.

    Raises:
        ConfigError: If a number is out of its range.
    """

    kind: ClassVar[str] = "fast_generator"

    warm: Tensor

    def __init__(
        self,
        *,
        channels: int = 3,
        painted: Sequence[int] = (),
        width: int = 48,
        dilations: Sequence[int] = (1, 2, 4, 8, 2, 1),
        radii: Sequence[int] = (2, 4),
        contrast: float = 0.02,
        means: Sequence[int] = (8, 16),
        seen: int = 8,
        pixel_width: int = 48,
        frequencies: Sequence[float] = (4, 8, 16),
        pixel_steps: int = 1500,
    ) -> None:
        super().__init__()
        for key, value, min_size in (
            ("width", width, 1),
            ("dilations", dilations, 1),
            ("radii", radii, 1),
            ("means", means, 1),
            ("seen", seen, 1),
            ("pixel_width", pixel_width, 1),
            ("pixel_steps", pixel_steps, 0),
        ):
            if min([value] if isinstance(value, int) else value, default=min_size) < min_size:
                found, expected = str(value if isinstance(value, int) else list(value)), f"{min_size} or more"
                raise ConfigError(f"generator.network.{key}", found=found, expected=expected, hint="correct it")
        if not contrast > 0:
            raise ConfigError("generator.network.contrast", found=str(contrast), expected="above 0", hint="correct it")
        self.painted = tuple(painted)
        self.colours = ColourMap(radii=radii, contrast=contrast)
        self.means, self.contrast, self.seen = tuple(means), contrast, seen
        self.pixel_steps = pixel_steps
        surroundings = 3 * (2 + len(self.means))  # the colour map and all means
        self.enter = nn.Conv2d(4 * (channels + surroundings), width, kernel_size=3, padding=1)
        self.blocks = nn.Sequential(*(DilatedBlock(width, dilation, len(dilations) ** -0.5) for dilation in dilations))
        # Pixel shuffling takes four neighbouring channels for one.
        self.leave = nn.Conv2d(width, 4 * seen, kernel_size=3, padding=1)
        self.choose = nn.Conv2d(width, 4 * len(self.painted), kernel_size=3, padding=1) if self.painted else None
        for layer, first in ((self.leave, 0.0), (self.choose, -4.0)):
            if layer is not None and layer.bias is not None:
                nn.init.zeros_(layer.weight)
                nn.init.constant_(layer.bias, first)
        self.head = PixelHead(channels=3 + surroundings + seen, colours=6, width=pixel_width, frequencies=frequencies)
        self.register_buffer("warm", torch.zeros(()))

    @property
    def multiple(self) -> int:
        """Tiles that start at multiples of this many pixels see the same blocks as the whole frame."""
        return max(2, self.colours.multiple, *map(sampling_step, self.means))

    @property
    def margin(self) -> int:
        """Radius of the receptive field in pixels: nothing farther away changes an output pixel."""
        blocks = sum(block.look.dilation[0] for block in self.blocks if isinstance(block, DilatedBlock))
        return 2 * (2 + blocks) + 1 + self.colours.margin + sum(map(receptive_radius, self.means))

    def warm_start(self, pictures: Iterable[tuple[Tensor, Tensor, Tensor]], *, until: float | None = None) -> None:
        """Fit the colour map to painted pictures, as ``ColourMap.fit`` takes them, then the colours of single pixels.

        Holds all pictures, and what is seen of some of their pixels. What has been warm-started already is left as it
        is, so that training that goes on after a kill keeps what it had learnt. ``until`` is for ``PixelHead.fit``.
        """
        if self.warm:
            return
        known = list(pictures)
        self.colours.fit(known)
        if self.pixel_steps:
            self.head.fit(*self._pixels(known), steps=self.pixel_steps, until=until)
        self.warm.fill_(1)

    @torch.no_grad()
    def _pixels(self, pictures: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
        """Features (N, C), colours (N, 6) and wanted changes (N, 3) of pixels, evenly drawn from those to learn."""
        draw = torch.Generator().manual_seed(0)
        parts = []
        for image, target, mask in pictures:
            places = mask.flatten().nonzero()[:, 0]
            places = places[torch.randperm(len(places), generator=draw)[: PIXELS // len(pictures)]]
            frame = image[None].to(self.warm.device)
            smooth, mapped = self._surroundings(frame)
            unseen = frame.new_zeros(1, self.seen, *frame.shape[-2:])
            known = torch.cat((frame, *smooth, mapped, unseen), dim=1)
            wanted = target[None].to(frame.device) - mapped
            colours = torch.cat((mapped, smooth[-1]), dim=1)
            parts.append([rows[0].flatten(1)[:, places.to(frame.device)].T for rows in (known, colours, wanted)])
        features, colours, changes = (torch.cat(kind) for kind in zip(*parts, strict=True))
        return features, colours, changes

    @torch.no_grad()
    def _surroundings(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Means of (B, 3, H, W) over growing surroundings, and the colour map's picture, all (B, 3, H, W) float32."""
        with torch.autocast(image.device.type, enabled=False):
            image = image.contiguous()  # running means are a third faster so than channels last
            smooth = [self.colours.smoothed(image)]
            mapped = self.colours(image, smooth[0])
            for radius in self.means:
                smooth.append(edge_preserving_mean(smooth[-1], radius, self.contrast))
        return smooth, mapped

    def forward(self, frame: Tensor) -> Tensor:
        """Map (B, channels, H, W) in -1..1 to (B, 3, H, W), in -1..1 when not training."""
        height, width = frame.shape[-2:]
        smooth, mapped = self._surroundings(frame[:, :3])
        known = torch.cat((frame, *smooth, mapped), dim=1)
        blocks = functional.pixel_unshuffle(functional.pad(known, (0, width % 2, 0, height % 2)), 2)
        features = self.blocks(functional.relu(self.enter(blocks)))
        made = functional.pixel_shuffle(self.leave(features), 2)[..., :height, :width]
        known = torch.cat((frame[:, :3], *smooth, mapped, made), dim=1)
        image = mapped + self.head(known, torch.cat((mapped, smooth[-1]), dim=1)).float()
        if self.choose is not None:
            # What is copied is painted already; a change that suits the colour map would spoil it.
            shares = functional.pixel_shuffle(self.choose(levelled(features)), 2)[..., :height, :width].float()
            # Where copying is better everywhere at first, features that are not levelled grow by orders of magnitude
            # within a dozen steps, and a plain sigmoid is too sure of it to learn any more.
            above = functional.relu(shares)
            copied = (shares - above + PROB_EPS * functional.softsign(above / PROB_EPS)).sigmoid()
            for place, first in enumerate(self.painted):
                image = torch.lerp(image, frame[:, first : first + 3].float(), copied[:, place, None])
        return image if self.training else image.clamp(-1, 1)


def levelled(features: Tensor) -> Tensor:
    """Features (B, C, H, W) with a mean square of 1 over the channels of each pixel (Zhang and Sennrich 2019)."""
    square = features.float().square().mean(dim=1, keepdim=True)
    return features * torch.rsqrt(square + 1e-6).to(features.dtype)
