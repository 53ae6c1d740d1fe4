"""Masks painted or exported by other programs: labels, cut-outs on transparency, palettes and 16-bit values."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.io.image import decode, decode_opacity
from dreaming.io.types import Mask, Probability

DIM = 32
"""Levels of 255 up to which a few values are labels of objects rather than brightness."""

MAX_LABELS = 32
"""Colours of an image of labels; a painted mask with soft edges has more."""

LABEL_SHARE = 0.005
"""Share of the frame that each colour of an image of labels covers; those of soft edges cover less."""

MIN_SHARE = 0.01
"""Share of opaque pixels below which black or white is no part of a black and white mask."""


def interpret(path: Path, probability: Probability) -> tuple[Mask, str]:
    """Decide which pixels of a mask file are foreground.

    Pixels brighter than half are, unless the file holds labels (few values, all of them dark, or colours beside pure
    black) or a cut-out (a picture on transparency, whose opacity is the mask).

    Args:
        path: The file.
        probability: (H, W) in 0..1, its brightness times its opacity.

    Returns:
        The mask (H, W), and how the file was read; empty where the usual rule applies.
    """
    opacity = decode_opacity(path)
    if opacity is not None and opacity.min() < 0.5 < opacity.max():
        opaque = opacity > 0.5
        values = np.where(opaque, probability / np.maximum(opacity, 1e-3), 0)[opaque]
        dark, bright = (values < 0.1).mean(), (values > 0.9).mean()
        if min(dark, bright) >= MIN_SHARE and dark + bright > 1 - MIN_SHARE:
            return probability > 0.5, ""
        return opaque, "" if bright > 1 - MIN_SHARE else "by its opacity"
    bright = probability > 0.5
    if path.suffix.lower() in (".jpg", ".jpeg"):  # compression adds values of its own
        return bright, ""
    labels = _labels(decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH), bright)
    return (bright, "") if labels is None else labels


def _labels(image: NDArray[np.generic], bright: Mask) -> tuple[Mask, str] | None:
    """Foreground of an image of labels (H, W, 3); None for any other image."""
    values = image.max(axis=2)
    if bright.any():
        colourful = (image != image[..., :1]).any(axis=2)
        if not colourful.any() or (values > 0).all():
            return None
        colours, counts = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
        labels = counts >= LABEL_SHARE * values.size
        return (
            (values > 0, "as colours of labels, all but black") if len(colours) <= MAX_LABELS and labels.all() else None
        )
    levels = np.unique(values)
    if len(levels) < 2:
        return None
    highest = levels[-1]
    limit = DIM if highest <= 255 else DIM * 256
    few = len(levels) == 2 or (highest < limit and len(levels) <= MAX_LABELS)
    mask = values > (levels[0] if few else highest / 2)
    return mask, f"with values from {levels[0]:g} to {highest:g}"
