"""A generator that needs little time: a colour map, fitted at once, and a small network that changes it."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from dreaming.networks.colour_map import ColourMap


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
    """Paints a frame as a blend of its colour map and of guides that are painted already, plus a learnt change.

    The network works at half the resolution on blocks of 2x2 pixels, so it sees and makes every pixel. It begins with
    no change, and with little of the guides: untrained it gives the colour map.

    Args:
        channels: Of the input: 3 for RGB plus those of the guides.
        painted: First of each three input channels that are a painted picture of the frame.
        width: Channels of the network.
        dilations: Of its blocks, in pixels of half the resolution.
        radii: Of the squares that the colour map smooths over, in pixels.
        contrast: Variance of colours in -1..1 from which on that takes something for an edge.

    Attributes:
        multiple: Tiles that start at multiples of this many pixels see the same blocks as the whole frame.
    """

    multiple = 2

    def __init__(
        self,
        *,
        channels: int = 3,
        painted: Sequence[int] = (),
        width: int = 48,
        dilations: Sequence[int] = (1, 2, 4, 8, 2, 1),
        radii: Sequence[int] = (2, 4),
        contrast: float = 0.02,
    ) -> None:
        super().__init__()
        self.painted = tuple(painted)
        self.colours = ColourMap(radii=radii, contrast=contrast)
        self.enter = nn.Conv2d(4 * (channels + 6), width, kernel_size=3, padding=1)
        self.blocks = nn.Sequential(*(DilatedBlock(width, dilation, len(dilations) ** -0.5) for dilation in dilations))
        self.leave = nn.Conv2d(width, 4 * (3 + len(self.painted)), kernel_size=3, padding=1)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        # Pixel shuffling takes four neighbouring channels for one.
        self.leave.bias.data[12:] = -2.0

    @property
    def margin(self) -> int:
        """Radius of the receptive field in pixels: nothing farther away changes an output pixel."""
        blocks = sum(block.look.dilation[0] for block in self.blocks if isinstance(block, DilatedBlock))
        return 2 * (2 + blocks) + 1 + self.colours.margin

    def warm_start(self, pictures: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
        """Fit the colour map to painted pictures, as ``ColourMap.fit`` takes them."""
        self.colours.fit(pictures)

    def forward(self, frame: Tensor) -> Tensor:
        """Map (B, channels, H, W) in -1..1 to (B, 3, H, W), in -1..1 when not training."""
        height, width = frame.shape[-2:]
        with torch.no_grad(), torch.autocast(frame.device.type, enabled=False):
            smooth = self.colours.smoothed(frame[:, :3])
            mapped = self.colours(frame[:, :3], smooth)
        seen = torch.cat((frame, smooth, mapped), dim=1)
        seen = functional.pad(seen, (0, width % 2, 0, height % 2))
        features = self.blocks(functional.relu(self.enter(functional.pixel_unshuffle(seen, 2))))
        made = functional.pixel_shuffle(self.leave(features), 2)[..., :height, :width].float()
        image = mapped
        for place, first in enumerate(self.painted):
            copied = made[:, 3 + place, None].sigmoid()
            image = torch.lerp(image, frame[:, first : first + 3].float(), copied)
        image = image + made[:, :3]
        return image if self.training else image.clamp(-1, 1)
