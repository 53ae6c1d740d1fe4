"""Similarity of images: SSIM and PSNR."""

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from dreaming.metrics.base import FrameMean


def ssim(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean structural similarity of images (B, 3, H, W) in 0..1; 1 for equal images.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity" (2004), with its
    Gaussian window of 11x11 and sigma 1.5.
    """
    value = structural_similarity_index_measure(predicted, truth, sigma=1.5, kernel_size=11, data_range=1.0)
    assert isinstance(value, Tensor)
    return value


def psnr(predicted: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of images (B, 3, H, W) in 0..1."""
    return peak_signal_noise_ratio(predicted, truth, data_range=1.0)


class FrameSSIM(FrameMean):
    """Mean of ``ssim`` over frames."""

    def score(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """SSIM of two images (3, H, W) in 0..1."""
        return ssim(predicted[None], truth[None])


class FramePSNR(FrameMean):
    """Mean of ``psnr`` over frames; the class of torchmetrics pools the errors of all frames instead."""

    def score(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """PSNR in dB of two images (3, H, W) in 0..1."""
        return psnr(predicted[None], truth[None])
