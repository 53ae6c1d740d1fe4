"""Colours with opacity: layers over each other, and their integers and linear light for files."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreaming.io.types import Probability


def merge_layers(
    layers: Iterable[tuple[NDArray[Any], Probability]],
) -> tuple[NDArray[np.float32], Probability]:
    """Lay layers over each other, on a transparent ground (Porter and Duff 1984, "over").

    Args:
        layers: Colours (H, W, 3) in 0..255, not premultiplied, and opacity (H, W) in 0..1 of each, bottom to top.

    Returns:
        Colours, not premultiplied, and opacity. A single layer keeps its colours also where it is transparent;
        otherwise they are 0 there.
    """
    stack = list(layers)
    if len(stack) == 1:
        return stack[0][0].astype(np.float32), stack[0][1]
    colours, total = np.zeros(stack[0][0].shape, np.float32), np.zeros(stack[0][1].shape, np.float32)
    for layer, opacity in stack:
        colours += opacity[..., None] * (layer - colours)
        total += opacity * (1 - total)
    return np.minimum(colours / np.where(total > 0, total, 1)[..., None], 255), total


def to_integers(
    colours: NDArray[np.float32], opacity: Probability, depth: int, *, premultiplied: bool = False
) -> NDArray[Any]:
    """RGBA (H, W, 4) of 8 bits (uint8) or 16 bits (uint16) from colours (H, W, 3) in 0..255 and opacity in 0..1."""
    maximum = 2**depth - 1
    scale = np.float32(maximum / 255)
    scaled = colours * (opacity[..., None] * scale if premultiplied else scale)
    return np.rint(np.dstack([scaled, opacity * np.float32(maximum)])).astype(np.uint16 if depth == 16 else np.uint8)


def to_linear(colours: NDArray[np.float32], opacity: Probability) -> NDArray[np.float32]:
    """Linear RGBA (H, W, 4) in 0..1, premultiplied, from sRGB colours (H, W, 3) in 0..255 (IEC 61966-2-1)."""
    values = colours / np.float32(255)
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return np.dstack([linear * opacity[..., None], opacity]).astype(np.float32)
