"""Where a pixel lies in the whole frame, and the channels that tell a network so."""

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from dreaming.errors import ConfigError
from dreaming.io.types import Size

Encoding: TypeAlias = Literal["none", "linear", "sin"]


def coordinates(
    size: Size, frame: Size | None = None, origin: tuple[int, int] = (0, 0), device: torch.device | str | None = None
) -> Tensor:
    """Places of a region's pixel centres in its frame, (1, 2, H, W): x, then y, -0.5..0.5 from edge to edge.

    Edges, not pixel centres, lie at -0.5 and 0.5, so that a place has the same numbers at every resolution. A region
    that sticks out of the frame has places beyond.

    Args:
        size: (height, width) of the region in pixels.
        frame: (height, width) of the frame in pixels; by default the region is the frame.
        origin: (y, x) of the region's first pixel in the frame.
        device: Where the result lies.
    """
    frame = frame or size
    y, x = (
        (torch.arange(first, first + length, device=device) + 0.5) / whole - 0.5
        for first, length, whole in zip(origin, size, frame, strict=True)
    )
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))[None]


def mirrored(index: Tensor, length: int) -> Tensor:
    """Indices of any value, folded into 0..length - 1 as by mirrors on the first and the last pixel."""
    last = length - 1
    if last == 0:
        return torch.zeros_like(index)
    return last - (last - index.remainder(2 * last)).abs()


def centre(features: Tensor, like: Tensor) -> Tensor:
    """The middle of a map, as high and wide as another."""
    top, left = ((features.shape[axis] - like.shape[axis]) // 2 for axis in (-2, -1))
    return features[..., top : top + like.shape[-2], left : left + like.shape[-1]]


class Position(nn.Module):
    """Appends position to a picture as further channels.

    ``linear`` appends x and y (2 channels). ``sin`` appends sine and cosine of x, then of y, for each octave
    (4 channels an octave), after "Attention Is All You Need" (Vaswani et al. 2017), section 3.5, on two axes, but with
    wavelengths that halve, measured in frame sides. Their formula with d_model 4 is one octave of a wavelength of
    ``2 * pi`` pixels, which repeats itself some 200 times across a frame.

    Args:
        encoding: ``none``, ``linear`` or ``sin``.
        octaves: How many wavelengths ``sin`` has, each half the one before.
        wavelength: The longest one in frame sides; from 2 on no two places of the frame look alike.

    Raises:
        ConfigError: If there is no such encoding.
    """

    def __init__(self, encoding: Encoding = "none", octaves: int = 1, wavelength: float = 2.0) -> None:
        super().__init__()
        widths = {"none": 0, "linear": 2, "sin": 4 * octaves}
        if encoding not in widths:
            raise ConfigError(
                "positional_encoding",
                found=repr(encoding),
                expected="one of " + ", ".join(widths),
                hint="choose one of these",
            )
        self.encoding, self.octaves, self.wavelength = encoding, octaves, wavelength
        self.channels = widths[encoding]

    def forward(self, image: Tensor, places: Tensor | None = None) -> Tensor:
        """The picture (B, C, H, W) with its position, (B, C + ``channels``, H, W).

        Args:
            image: The picture or crop.
            places: Its ``coordinates`` (1 or B, 2, H, W); by default it is a whole frame.
        """
        if self.encoding == "none":
            return image
        if places is None:
            places = coordinates((image.shape[-2], image.shape[-1]), device=image.device)
        places = places.to(image.dtype).expand(len(image), -1, -1, -1)
        return torch.cat([image, places if self.encoding == "linear" else self._waves(places)], dim=1)

    def _waves(self, places: Tensor) -> Tensor:
        turns = 2 ** torch.arange(self.octaves, device=places.device) / self.wavelength
        angle = places[:, None] * (2 * math.pi * turns)[:, None, None, None]  # (B, octaves, 2, H, W)
        return torch.stack([angle.sin(), angle.cos()], dim=3).flatten(1, 3).to(places.dtype)
