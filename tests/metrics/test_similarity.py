"""SSIM and PSNR agree with their formulas and with the shared scoring script."""

import importlib.util

import cv2
import numpy as np
import pytest
import torch

from dreaming.metrics.similarity import FramePSNR, FrameSSIM, psnr, ssim

RNG = np.random.default_rng(11)
TRUTH = cv2.resize(RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8), (96, 72))  # (72, 96, 3)
PREDICTED = np.clip(TRUTH.astype(int) + RNG.integers(-30, 31, TRUTH.shape), 0, 255).astype(np.uint8)


def tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None] / 255


def ssim_map(a, b):
    """SSIM of Wang et al. (2004) at every pixel, in 0..255."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = (cv2.GaussianBlur(x, (11, 11), 1.5) for x in (a, b))
    var_a, var_b, cov = (
        cv2.GaussianBlur(x * y, (11, 11), 1.5) - m * n
        for x, y, m, n in ((a, a, mean_a, mean_a), (b, b, mean_b, mean_b), (a, b, mean_a, mean_b))
    )
    return (2 * mean_a * mean_b + c1) * (2 * cov + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))


def test_ssim_is_the_mean_of_its_map_with_mirrored_borders():
    expected = ssim_map(PREDICTED, TRUTH).mean()
    assert float(ssim(tensor(PREDICTED), tensor(TRUTH))) == pytest.approx(expected, abs=2e-5)
    assert expected < 0.95, "the images differ"


def test_psnr_by_hand():
    black, grey = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 51, np.uint8)  # a fifth of the range
    assert float(psnr(tensor(grey), tensor(black))) == pytest.approx(10 * np.log10(25), abs=1e-4)
    assert float(psnr(tensor(grey), tensor(grey))) == float("inf")


def test_equal_images_score_one_and_a_batch_its_mean():
    assert float(ssim(tensor(TRUTH), tensor(TRUTH))) == pytest.approx(1)
    both = torch.cat([tensor(TRUTH), tensor(PREDICTED)])
    expected = (1 + float(ssim(tensor(PREDICTED), tensor(TRUTH)))) / 2
    assert float(ssim(both, tensor(TRUTH).expand(2, -1, -1, -1))) == pytest.approx(expected, abs=1e-6)


def test_the_shared_script_agrees(shared):
    # The script uses float64 on 0..255 and this package float32 on 0..1, so they differ by rounding.
    spec = importlib.util.spec_from_file_location("score_frames", shared / "score" / "frames.py")
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    assert float(ssim(tensor(PREDICTED), tensor(TRUTH))) == pytest.approx(score.ssim(PREDICTED, TRUTH), abs=2e-5)
    assert float(psnr(tensor(PREDICTED), tensor(TRUTH))) == pytest.approx(score.psnr(PREDICTED, TRUTH), abs=1e-3)


@pytest.mark.parametrize(("metric", "function"), [(FrameSSIM(), ssim), (FramePSNR(), psnr)])
def test_metrics_score_each_frame_and_average(metric, function):
    darker = tensor(PREDICTED) * 0.9
    each = [metric(image, tensor(TRUTH)).item() for image in (tensor(PREDICTED), darker)]
    assert each == [function(image, tensor(TRUTH)).item() for image in (tensor(PREDICTED), darker)]
    assert metric.compute().item() == pytest.approx(sum(each) / 2)
