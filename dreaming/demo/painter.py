"""The oil-paint filter that makes the demo's keyframes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.io.types import Image

Plane = NDArray[np.float32]

COLOUR_SIGMA = 14.0  # Lab distance at which colours belong to different strokes


def paint(image: Image, *, stroke: float = 0.045, relief: float = 1.0, canvas: float = 1.0) -> Image:
    """Turn an image into an oil painting, deterministically.

    Colours are blurred along edges, ridges of paint follow contours of equal brightness and fine texture, and the
    palette shifts to ultramarine shadows and warm lights. All this depends on a pixel's surroundings and not on its
    position, so it moves with the image. Only the weave of the canvas is static.

    Args:
        image: RGB uint8, (H, W, 3), like the result.
        stroke: Length of the brush strokes, as a fraction of the shorter side.
        relief: Strength of the light on the ridges of paint; 0 for none.
        canvas: Contrast of the canvas's weave; 0 for none.
    """
    reach = stroke * min(image.shape[:2])
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    tangent = edge_direction(lab[..., 0], reach)
    body = _along(lab, lab, tangent, reach)
    height = _ridges(lab, body, tangent, reach)
    painted = cv2.cvtColor(_palette(body, height), cv2.COLOR_LAB2RGB) * 255
    light = relief * _emboss(height, reach) + canvas * _weave(height.shape)
    return np.asarray(np.clip(np.rint(painted + light[..., None]), 0, 255), np.uint8)


def edge_direction(lightness: Plane, reach: float) -> Plane:
    """Unit vectors (H, W, 2) along the edges, from the smoothed structure tensor (Kyprianidis & Doellner 2008)."""
    grey = cv2.GaussianBlur(lightness, (0, 0), 0.15 * reach)
    dx, dy = cv2.Scharr(grey, cv2.CV_32F, 1, 0), cv2.Scharr(grey, cv2.CV_32F, 0, 1)
    xx, yy, xy = (cv2.GaussianBlur(product, (0, 0), 0.4 * reach) for product in (dx * dx, dy * dy, dx * dy))
    across = 0.5 * np.arctan2(2 * xy, xx - yy)
    return np.stack([-np.sin(across), np.cos(across)], axis=-1)


def _along(values: Plane, guide: Plane, tangent: Plane, reach: float) -> Plane:
    """Mean of ``values`` (H, W, C) along the stream lines of ``tangent`` (H, W, 2), about ``reach`` pixels both ways.

    Line integral convolution (Cabral & Leedom 1993), weighted by similarity of the Lab colours ``guide`` (H, W, 3), so
    that strokes do not cross the edges of objects.
    """
    both = np.concatenate([values, guide], axis=-1)
    rows, columns = np.mgrid[0 : tangent.shape[0], 0 : tangent.shape[1]].astype(np.float32)
    total, weights = values.copy(), np.ones_like(guide[..., :1])
    for sign in (-1, 1):
        x, y, direction = columns.copy(), rows.copy(), sign * tangent
        for step in range(1, max(1, round(reach)) + 1):
            x, y = x + direction[..., 0], y + direction[..., 1]
            following = cv2.remap(tangent, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
            # A tangent has no sign, so keep the direction of the previous step.
            agree = np.where((following * direction).sum(axis=-1, keepdims=True) < 0, -1, 1).astype(np.float32)
            direction = following * agree
            sampled = cv2.remap(both, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            colour, compared = sampled[..., : values.shape[-1]], sampled[..., values.shape[-1] :]
            distance = ((compared - guide) ** 2).sum(axis=-1, keepdims=True)
            weight = np.exp(-2 * (step / reach) ** 2 - distance / (2 * COLOUR_SIGMA**2))
            total, weights = total + weight * colour, weights + weight
    return np.asarray(total / weights, np.float32)


def _ridges(lab: Plane, body: Plane, tangent: Plane, reach: float) -> Plane:
    """Height of the paint (H, W), about -1..1: contours of brightness, and fine texture smeared into bristle marks."""
    lightness = np.ascontiguousarray(lab[..., 0])
    base = cv2.bilateralFilter(lightness, -1, COLOUR_SIGMA, 0.3 * reach)  # a Gaussian blur would leave halos at edges
    fine = lightness - base
    spread = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), reach)) + 1.2  # above sensor noise
    bristles = _along((fine / spread)[..., None], body, tangent, reach)[..., 0]
    level = cv2.GaussianBlur(body[..., 0], (0, 0), 0.1 * reach)
    return np.asarray(np.tanh(3 * bristles + 0.75 * np.sin(2 * np.pi * level / 5)), np.float32)


def _palette(lab: Plane, height: Plane) -> Plane:
    """Reduce the number of tones; shift shadows to ultramarine and lights to ochre, and lighten thick paint."""
    lightness, a, b = cv2.split(lab)
    steps = 11.0
    lightness = lightness + 5 * height
    whole = np.floor(lightness / steps)
    fraction = np.tanh(4 * (lightness / steps - whole - 0.5)) / (2 * np.tanh(2.0)) + 0.5
    tone = np.clip(1.12 * (steps * (whole + fraction) - 52) + 54, 4, 98).astype(np.float32)
    warm = np.tanh((tone - 50) / 22)
    a = 1.4 * a + 6 - 4 * warm + 2.5 * height
    b = 1.4 * b + 17 * warm - 4 - 3.0 * height
    return np.stack([tone, a, b], axis=-1).astype(np.float32)


def _emboss(height: Plane, reach: float) -> Plane:
    """Shading of the ridges by light from the upper left, in grey levels."""
    smooth = cv2.GaussianBlur(height, (0, 0), max(0.3, 0.08 * reach))
    slope = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) + cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    return np.asarray(24 * np.tanh(slope * reach / 16), np.float32)


def _weave(shape: tuple[int, ...]) -> Plane:
    """Interwoven threads of the canvas, 3 pixels apart, in grey levels."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    return np.asarray(2.2 * np.cos(2 * np.pi * rows / 3) * np.cos(2 * np.pi * columns / 3), np.float32)
