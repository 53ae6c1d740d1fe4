"""Visualisation of a mask over its frame."""

import numpy as np

from dreaming.io.types import Image, Mask


def overlay(image: Image, predicted: Mask, truth: Mask | None = None) -> Image:
    """Tint a frame (H, W, 3) green where a mask (H, W) is true, and red where it differs from the truth, if any."""
    tinted = image.astype(np.float32)
    tinted[predicted] = tinted[predicted] * 0.5 + np.array([0, 255, 0]) * 0.5
    if truth is not None:
        wrong = predicted != truth
        tinted[wrong] = image[wrong] * 0.3 + np.array([255, 0, 0]) * 0.7
    return tinted.astype(np.uint8)
