"""Band-pass decomposition of images into strokes of different widths, and local statistics of the bands."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

SIGMAS = (1.0, 2.0, 4.0)
"""Gaussians between the bands, in pixels: strokes up to about ten pixels wide lie above the last one."""

NOISE = 2.0
"""Variance of rounding and compression, in squared grey levels."""

QUANTILES = 65
"""Number of quantiles that describe a distribution of local energies."""

SUBSAMPLE = 4
"""Distance in pixels between samples of a local energy, which is smooth."""

MIN_ENERGY = 0.3
"""Variance, in squared grey levels, far below which a band counts as flat."""

MAX_TINT = 3.0
"""Largest change of a channel relative to that of grey, which is near 0 where hues alternate at equal brightness."""


def split(image: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Yield the bands of an image (H, W, C), fine to coarse, then what remains; their sum is the image."""
    for sigma in SIGMAS:
        blurred = blur(image, sigma)
        yield image - blurred
        image = blurred
    yield image


def local_energy(band: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Variance (H, W) of a grey or RGB band (H, W) or (H, W, 3) over a Gaussian window of ``sigma`` pixels.

    That of RGB is of its grey, because the network's faint colours would hide that its brightness has fewer strokes.

    It is estimated from the mean absolute value, as of normally distributed values: the mean square would be that of a
    few strong edges, and grain of the same mean square would be much stronger to the eye.
    """
    grey = band if band.ndim == 2 else cv2.cvtColor(band, cv2.COLOR_RGB2GRAY)
    mean = blur(np.abs(grey), sigma)
    return np.float32(np.pi / 2) * mean * mean


def weighted_mean(values: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
    """Weighted mean of a map (H, W); 0 if all weights are 0."""
    return float((values * weights).sum() / max(weights.sum(), 1.0))


def mean_amplitude(energy: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
    """Weighted mean of the root of a local energy (H, W), in levels; 0 if all weights are 0."""
    return weighted_mean(np.sqrt(energy), weights)


def laplacian(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Laplacian (H, W) of an image's grey (H, W, 3); the mean of its absolute values is the crispness of an image."""
    return cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F)


def energy_quantiles(energies: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evenly spaced, increasing quantiles (QUANTILES,) of local energies (N,); 0 if there are none.

    They increase by a little even where the energy does not, so that they can be interpolated.
    """
    if energies.size == 0:
        return np.zeros(QUANTILES, np.float32)
    found = np.quantile(energies, np.linspace(0, 1, QUANTILES)) + 1e-4 * np.arange(QUANTILES)
    return found.astype(np.float32)


def sample(values: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values (N,) of a smooth map (H, W) at some pixels of a coarse grid."""
    return values[::SUBSAMPLE, ::SUBSAMPLE][where[::SUBSAMPLE, ::SUBSAMPLE]]


def local_correlation(one: NDArray[np.float32], other: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Correlation (H, W) in -1..1 of two bands (H, W) over a Gaussian window of ``sigma`` pixels.

    The mean of a band is 0. ``NOISE`` is added to both variances, so that the correlation of flat areas is 0.
    """
    first, second = (np.sqrt(blur(band * band, sigma) + np.float32(NOISE)) for band in (one, other))
    return blur(one * other, sigma) / (first * second)


def tint(band: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """How much each channel (H, W, 3) of a band changes with its grey, over a Gaussian window of ``sigma`` pixels.

    Its grey is 1 unless ``MAX_TINT`` bounds it. Strokes on orange change red more than blue, those on grey all equally;
    a flat area counts as grey.
    """
    grey = cv2.cvtColor(band, cv2.COLOR_RGB2GRAY)
    common = blur(band * grey[..., None], sigma) + np.float32(MIN_ENERGY)
    energy = blur(grey * grey, sigma) + np.float32(MIN_ENERGY)
    return np.clip(common / energy[..., None], -MAX_TINT, MAX_TINT)


def channel_mean(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean (H, W) of three channels (H, W, 3); several times as fast as NumPy's."""
    return cv2.transform(image, np.full((1, 3), 1 / 3, np.float32))


def blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian blur of ``sigma`` pixels."""
    return cv2.GaussianBlur(image, (0, 0), sigma)
