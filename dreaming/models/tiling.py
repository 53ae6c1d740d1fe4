"""Padding, cropping and tiling of frames for networks that accept some sizes only."""

from collections.abc import Callable
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from dreaming.errors import ConfigError
from dreaming.io.types import Size
from dreaming.networks.position import mirrored


class SizeConstraints(Protocol):
    """Sizes that a network accepts.

    The output is the input less ``margin`` pixels on each side; its sides are ``multiple`` * n + ``residue`` pixels. An
    input has at least ``min_size`` pixels on each side.
    """

    margin: int
    multiple: int
    residue: int
    min_size: int


def fitting(length: int, network: nn.Module, cut: bool = False) -> int:
    """Smallest input length with at least ``length`` pixels of output; with ``cut``, largest one within ``length``."""
    sizing = cast(SizeConstraints, network)
    if cut:
        return length - (length - 2 * sizing.margin - sizing.residue) % sizing.multiple
    return length + (sizing.residue - length) % sizing.multiple + 2 * sizing.margin


def padded(origin: tuple[int, int], size: Size, network: nn.Module) -> tuple[tuple[int, int], Size]:
    """Origin and size of the input that a network needs for an output that covers a region."""
    margin = cast(SizeConstraints, network).margin
    return (origin[0] - margin, origin[1] - margin), (fitting(size[0], network), fitting(size[1], network))


def region(image: Tensor, origin: tuple[int, int], size: Size) -> Tensor:
    """Crop a region (B, C, H, W) from frames (B, C, H', W'), which continue beyond their edges by reflection."""
    if origin == (0, 0) and size == image.shape[-2:]:
        return image
    for axis, first, length in zip((-2, -1), origin, size, strict=True):
        index = torch.arange(first, first + length, device=image.device)
        image = image.index_select(axis, mirrored(index, image.shape[axis]))
    return image


def starts(length: int, tile: int, overlap: int, multiple: int) -> list[int]:
    """Starts of the tiles along an axis, at multiples, so that pooling combines the same pixels as in whole frames."""
    step = max(multiple, (tile - overlap) // multiple * multiple)
    last = max(0, -(-(length - tile) // multiple) * multiple)
    return [*range(0, last, step), last]


def tiled(
    logits_of: Callable[[tuple[int, int], Size], Tensor], frame: Size, tile: int, overlap: int, multiple: int
) -> Tensor:
    """Compute logits (B, 1, H, W) of a frame from tiles that are blended linearly over their overlap.

    Args:
        logits_of: Computes the logits of a region from its origin and size.
        frame: (height, width) in pixels.
        tile: Side of a tile in pixels.
        overlap: Pixels by which neighbouring tiles overlap.
        multiple: Tiles start at multiples of this.

    Raises:
        ConfigError: If a tile is not larger than the overlap.
    """
    if tile < overlap + multiple:
        raise ConfigError(
            "tile",
            found=f"{tile} pixels with an overlap of {overlap}",
            expected=f"at least {overlap + multiple}",
            hint="raise `tile` or lower `overlap`",
        )
    total: Tensor | None = None
    weights: Tensor | None = None
    for top in starts(frame[0], tile, overlap, multiple):
        for left in starts(frame[1], tile, overlap, multiple):
            size = min(tile, frame[0] - top), min(tile, frame[1] - left)
            logits = logits_of((top, left), size)
            if total is None or weights is None:
                total, weights = logits.new_zeros(*logits.shape[:2], *frame), logits.new_zeros(frame)
            fade = _fade(size[0], overlap, logits)[:, None] * _fade(size[1], overlap, logits)
            total[..., top : top + size[0], left : left + size[1]] += logits * fade
            weights[top : top + size[0], left : left + size[1]] += fade
    assert total is not None
    assert weights is not None
    return total / weights


def _fade(length: int, overlap: int, like: Tensor) -> Tensor:
    """Weights (length,) of a tile along one axis, which rise linearly from both ends over the overlap."""
    position = torch.arange(length, device=like.device) + 0.5
    return torch.minimum(position, length - position).clamp(max=max(overlap, 1)) / max(overlap, 1)
