"""Painters of the demo's keyframes, with different strokes and colours."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.demo.painter import edge_direction, paint
from dreaming.io.types import Image

PainterName: TypeAlias = Literal["oil", "ink", "knife", "watercolour", "gold", "chalk"]

GOLD = ((52, 8, 30), (150, 20, 40), (235, 95, 20), (255, 190, 40), (255, 250, 205))
"""RGB from dark to light of the painter ``gold``."""

BLUE = ((8, 22, 74), (28, 70, 150), (110, 170, 215), (240, 248, 255))
"""RGB from dark to light of the painter ``chalk``."""

LINES, SHARPNESS, THRESHOLD = 20.0, 0.6, 62.0  # XDoG's p and phi, and epsilon in grey levels
TONES = 5  # of flat colour
KNIFE_WIDTH, KNIFE_LENGTH = 24, 56  # pixels of a stroke
COATS = 5  # strokes over each pixel, on average


def draw_ink(image: Image) -> Image:
    """Draw dark lines at edges on a few flat colours; they move with the image.

    Lines are those of XDoG: Winnemöller, Kyprianidis and Olsen, "XDoG: an eXtended difference-of-Gaussians
    compendium", 2012.

    Args:
        image: RGB uint8, (H, W, 3), like the result.
    """
    smooth = _smooth(image)
    lab = cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    step = 100 / TONES
    lab[..., 0] = step * (np.floor(lab[..., 0] / step).clip(0, TONES - 1) + 0.6)
    lab[..., 1:] = 12 * np.rint(1.5 * lab[..., 1:] / 12)
    flat = cv2.medianBlur(np.rint(255 * cv2.cvtColor(lab, cv2.COLOR_LAB2RGB).clip(0, 1)).astype(np.uint8), 5)
    grey = cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (1.0, 1.6))
    sharpened = (1 + LINES) * fine - LINES * coarse
    light = np.where(sharpened >= THRESHOLD, 1.0, 1 + np.tanh(SHARPNESS * (sharpened - THRESHOLD) / 8))
    return np.rint(flat * light[..., None].clip(0.06, 1)).astype(np.uint8)


def lay_with_knife(image: Image, index: int) -> Image:
    """Lay strokes of a palette knife, 24 pixels wide and along edges, at other places in each frame.

    Args:
        image: RGB uint8, (H, W, 3), like the result.
        index: Index of the frame, the seed of the strokes' places.
    """
    smooth, rng = _smooth(image), np.random.default_rng((24, index))
    height, width = image.shape[:2]
    lightness = cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY).astype(np.float32)
    tangent = edge_direction(lightness, KNIFE_WIDTH)
    painted = smooth.copy()
    for _ in range(max(1, COATS * height * width // (KNIFE_WIDTH * KNIFE_LENGTH))):
        row, column = int(rng.integers(height)), int(rng.integers(width))
        along = tangent[row, column] * KNIFE_LENGTH / 2
        across = tangent[row, column][::-1] * (KNIFE_WIDTH / 2, -KNIFE_WIDTH / 2)
        corners = np.array([along + across, along - across, -along - across, across - along])
        corners = np.rint(np.add(corners, (column, row)))
        colour = smooth[row, column] + rng.normal(0, 7) * np.ones(3)
        cv2.fillConvexPoly(painted, corners.astype(np.int32), colour.clip(0, 255).tolist(), cv2.LINE_AA)
        # Paint piles up at both sides, and light comes from one of them.
        for end, relief in ((0, 26), (1, -30)):
            first, last = corners[[end, 3 - end]].astype(np.int32).tolist()
            cv2.line(painted, first, last, (colour + relief).clip(0, 255).tolist(), 1, cv2.LINE_AA)
    return painted


def wash_watercolour(image: Image) -> Image:
    """Wash with transparent colours that darken at edges, on paper whose grain stays in place.

    Args:
        image: RGB uint8, (H, W, 3), like the result.
    """
    smooth = cv2.GaussianBlur(_smooth(image), (0, 0), 1.0).astype(np.float32) / 255
    grey = cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY)
    rim = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 4))
    grain = np.random.default_rng(5).standard_normal(image.shape[:2]).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.8) + 2 * cv2.GaussianBlur(grain, (0, 0), 2.5)
    # Pigment settles in the hollows of the paper.
    density = 0.7 * (1 + 4 * rim) * (1 + 0.25 * grain)
    return np.rint(255 * (0.9 * smooth + 0.1) ** density[..., None]).astype(np.uint8)


def gild(image: Image) -> Image:
    """Paint in oil, in dark red, orange and gold by brightness.

    Args:
        image: RGB uint8, (H, W, 3), like the result.
    """
    return _tone(cv2.cvtColor(paint(image), cv2.COLOR_RGB2GRAY), GOLD)


def draw_chalk(image: Image) -> Image:
    """Draw edges with white chalk on blue paper, whose grain stays in place.

    Args:
        image: RGB uint8, (H, W, 3), like the result.
    """
    grey = cv2.cvtColor(_smooth(image), cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (0.8, 1.6))
    lines = (9 * np.abs(fine - coarse) - 20).clip(0, 150)
    grain = np.random.default_rng(5).standard_normal(grey.shape).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.7)
    return _tone(0.45 * cv2.GaussianBlur(grey, (0, 0), 1.5) + lines * (1 + 0.5 * grain) + 10 * grain, BLUE)


def _tone(light: NDArray[Any], colours: Sequence[tuple[int, int, int]]) -> Image:
    """Replace brightness (H, W) in 0..255 by equally spaced colours, with linear interpolation."""
    levels = np.linspace(0, 255, len(colours))
    return np.stack([np.rint(np.interp(light, levels, channel)) for channel in zip(*colours, strict=True)], -1).astype(
        np.uint8
    )


def _smooth(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Remove noise and texture, and keep edges."""
    for _ in range(3):
        image = cv2.bilateralFilter(image, 7, 30, 4).astype(np.uint8)
    return image


PAINTERS: Mapping[PainterName, Callable[[Image, int], Image]] = {
    "oil": lambda image, index: paint(image),
    "ink": lambda image, index: draw_ink(image),
    "knife": lay_with_knife,
    "watercolour": lambda image, index: wash_watercolour(image),
    "gold": lambda image, index: gild(image),
    "chalk": lambda image, index: draw_chalk(image),
}
"""Painters of a frame, by name; the second argument is the index of the frame."""
