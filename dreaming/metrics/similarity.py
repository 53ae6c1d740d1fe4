"""How like a picture is to the one it should be."""

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure


def ssim(found: Tensor, truth: Tensor) -> Tensor:
    """Mean structural similarity of (B, 3, H, W) in 0..1: 1 for equal pictures.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity" (2004), with its
    Gaussian window of 11x11 and sigma 1.5.
    """
    value = structural_similarity_index_measure(found, truth, sigma=1.5, kernel_size=11, data_range=1.0)
    assert isinstance(value, Tensor)
    return value


def psnr(found: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of (B, 3, H, W) in 0..1."""
    return peak_signal_noise_ratio(found, truth, data_range=1.0)
