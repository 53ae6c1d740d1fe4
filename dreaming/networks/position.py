"""Pixel coordinates in the whole frame, and their encoding as input channels."""

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from dreaming.io.types import Size

Encoding: TypeAlias = Literal["none", "linear", "sin"]


def coordinates(
    size: Size, frame: Size | None = None, origin: tuple[int, int] = (0, 0), device: torch.device | str | None = None
) -> Tensor:
    """Coordinates of a region's pixel centres in its frame, (1, 2, H, W): x, then y, -0.5..0.5 from edge to edge.

    The frame's edges, not its outer pixel centres, are at -0.5 and 0.5, so coordinates do not depend on resolution.
    Pixels outside the frame have coordinates beyond this range. Sizes are (height, width) and ``origin`` is the (y, x)
    of the region's first pixel in the frame; without ``frame`` the region is the frame.
    """
    frame = frame or size
    y, x = (
        (torch.arange(first, first + length, device=device) + 0.5) / whole - 0.5
        for first, length, whole in zip(origin, size, frame, strict=True)
    )
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))[None]


def mirrored(index: Tensor, length: int) -> Tensor:
    """Map any indices into 0..length - 1 by reflection at the first and the last pixel."""
    last = length - 1
    if last == 0:
        return torch.zeros_like(index)
    return last - (last - index.remainder(2 * last)).abs()


def centre(features: Tensor, like: Tensor) -> Tensor:
    """Crop the centre of a map (..., H, W) to the height and width of another (..., h, w), at most as large."""
    top, left = ((features.shape[axis] - like.shape[axis]) // 2 for axis in (-2, -1))
    return features[..., top : top + like.shape[-2], left : left + like.shape[-1]]


class Position(nn.Module):
    """Append a positional encoding to an image as further channels.

    ``linear`` appends x and y. ``sin`` appends sine and cosine of x, then of y, after "Attention Is All You Need"
    (Vaswani et al. 2017), section 3.5, but on two axes and with a wavelength of two frame sides, so that the encoding
    of each pixel is unique; their ``2 * pi`` pixels would repeat about 200 times across a frame.
    """

    def __init__(self, encoding: Encoding = "none") -> None:
        super().__init__()
        widths: dict[Encoding, int] = {"none": 0, "linear": 2, "sin": 4}
        self.encoding, self.channels = encoding, widths[encoding]

    def forward(self, image: Tensor, positions: Tensor | None = None) -> Tensor:
        """Append the encoding: (B, C, H, W) to (B, C + ``channels``, H, W).

        ``positions`` are the ``coordinates`` (1 or B, 2, H, W) of the image; None: those of a whole frame.
        """
        if self.encoding == "none":
            return image
        if positions is None:
            positions = coordinates((image.shape[-2], image.shape[-1]), device=image.device)
        positions = positions.to(image.dtype).expand(len(image), -1, -1, -1)
        if self.encoding == "sin":
            angle = math.pi * positions
            positions = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1, 2)
        return torch.cat([image, positions], dim=1)
