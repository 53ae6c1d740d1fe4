"""Quality of brush strokes: crispness and stroke distance, which blur lowers though it raises SSIM."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dreaming.io.types import Image
from dreaming.metrics.base import FrameMean

PATCH = 7
"""Side of a patch in pixels."""

SCALES = (1, 2, 4)
"""Factors by which images are reduced for stroke distance."""

PATCHES, DIRECTIONS = 8000, 64

FLAT = 0.1
"""Grey levels; a painting with less detail on average counts as having this much."""


def crispness(styled: Tensor, painted: Tensor) -> float:
    """Mean absolute Laplacian of grey, as a ratio to that of the painting; 1: as crisp, below 1: blurred.

    Args:
        styled: (3, H, W) RGB in 0..1.
        painted: The true painted frame, or a keyframe.
    """
    made, true = (float(fine_detail(_levels(image)).mean()) for image in (styled, painted))
    return made / max(true, FLAT)


def fine_detail(image: Image) -> NDArray[np.float32]:
    """Absolute Laplacian (H, W) of the grey levels of an image (H, W, 3); its mean is what ``crispness`` compares."""
    return np.asarray(np.abs(cv2.Laplacian(_grey(image), cv2.CV_32F)), np.float32)


def stroke_distance(styled: Tensor, painted: Tensor) -> float:
    """Sliced Wasserstein distance of the 7x7 patches of two images, at three scales; 0 for the same kind of strokes.

    Patches are taken at random positions that depend on the size only, without their mean, and projected on random
    directions. Each distance is divided by the standard deviation of the painting's projections. Rabin et al.,
    "Wasserstein Barycenter and Its Application to Texture Mixing", SSVM 2011.

    Args:
        styled: (3, H, W) RGB in 0..1, at least 8 pixels high and wide.
        painted: The true painted frame or a keyframe, whose strokes may lie elsewhere.
    """
    directions = np.random.default_rng(1).standard_normal((PATCH**2, DIRECTIONS)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0)
    pair, distances = [_grey(_levels(image)) for image in (styled, painted)], []
    for scale in SCALES:
        small = [cv2.resize(x, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA) for x in pair]
        if min(small[0].shape) > PATCH:
            made, true = (np.sort(_patches(image) @ directions, axis=0) for image in small)
            distances.append(float(np.abs(made - true).mean() / max(float(true.std(axis=0).mean()), FLAT)))
    return float(np.mean(distances))


def _levels(image: Tensor) -> Image:
    """An image (3, H, W) in 0..1 as (H, W, 3) uint8."""
    levels = (255 * image).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(levels)


def _grey(image: Image) -> NDArray[np.float32]:
    """Grey levels (H, W) of an image (H, W, 3)."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _patches(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Patches (N, 49) at fixed random positions, without their mean."""
    rng = np.random.default_rng(0)
    rows, columns = (rng.integers(0, length - PATCH, PATCHES) for length in grey.shape)
    windows = np.lib.stride_tricks.sliding_window_view(grey, (PATCH, PATCH))
    patches = windows[rows, columns].reshape(PATCHES, -1)
    return patches - patches.mean(axis=1, keepdims=True)


class Crispness(FrameMean):
    """Mean of ``crispness`` over frames."""

    def score(self, styled: Tensor, painted: Tensor) -> float:
        """``crispness`` of a frame (3, H, W) in 0..1."""
        return crispness(styled, painted)


class StrokeDistance(FrameMean):
    """Mean of ``stroke_distance`` over frames."""

    higher_is_better = False

    def score(self, styled: Tensor, painted: Tensor) -> float:
        """``stroke_distance`` of a frame (3, H, W) in 0..1."""
        return stroke_distance(styled, painted)
