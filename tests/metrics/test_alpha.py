"""Errors of mattes agree with slow NumPy versions, in whole frames and in a band of unknown pixels."""

import numpy as np
import pytest
import torch

from dreaming.metrics.alpha import AlphaDtSSD, AlphaGradient, AlphaMSE, AlphaSAD

RNG = np.random.default_rng(3)
ALPHA, TRUTH = (RNG.random((2, 1, 17, 23)) for _ in range(2))
BAND = RNG.random((2, 1, 17, 23)) < 0.4


def tensors(*arrays):
    return [torch.from_numpy(array if array.dtype == bool else array.astype(np.float32)) for array in arrays]


def slow_gradient(matte):
    """Length of the gradient at each pixel, by explicit sums over a window of 9 pixels (sigma 1.4, replicated)."""
    rows, columns = np.mgrid[-4:5, -4:5]
    weights = columns * np.exp(-(rows**2 + columns**2) / (2 * 1.4**2))
    weights /= np.linalg.norm(weights)
    padded = np.pad(matte, 4, mode="edge")
    found = np.zeros((2, *matte.shape))
    for y, x in np.ndindex(matte.shape):
        window = padded[y : y + 9, x : x + 9]
        found[:, y, x] = (window * weights.T).sum(), (window * weights).sum()
    return np.hypot(*found)


@pytest.mark.parametrize("band", [None, BAND])
def test_errors_are_those_of_slow_versions(band):
    inside = np.ones_like(BAND) if band is None else band
    expected = {AlphaMSE: [], AlphaSAD: [], AlphaGradient: []}
    for alpha, truth, pixels in zip(ALPHA[:, 0], TRUTH[:, 0], inside[:, 0], strict=True):
        difference = (alpha - truth)[pixels]
        expected[AlphaMSE].append(1000 * np.mean(difference**2))
        expected[AlphaSAD].append(np.abs(difference).sum() / 1000)
        expected[AlphaGradient].append(((slow_gradient(alpha) - slow_gradient(truth))[pixels] ** 2).sum() / 1000)
    for metric, values in expected.items():
        found = metric()
        found.update(*tensors(ALPHA, TRUTH, *([] if band is None else [band])))
        assert float(found.compute()) == pytest.approx(np.mean(values), rel=1e-4)


@pytest.mark.parametrize("band", [None, BAND[1:]])
def test_dtssd_compares_changes(band):
    inside = np.ones_like(BAND[1:]) if band is None else band
    error = (ALPHA[1:] - ALPHA[:1]) - (TRUTH[1:] - TRUTH[:1])
    metric = AlphaDtSSD()
    pair = (ALPHA[:1], ALPHA[1:], TRUTH[:1], TRUTH[1:])
    metric.update(*tensors(*pair, *([] if band is None else [band])))
    assert float(metric.compute()) == pytest.approx(100 * np.sqrt(np.mean(error[inside] ** 2)), rel=1e-5)
    still = AlphaDtSSD()
    still.update(*tensors(ALPHA[:1], ALPHA[1:], ALPHA[:1] + 0.1, ALPHA[1:] + 0.1))
    assert float(still.compute()) == pytest.approx(0, abs=1e-4)


def test_equal_mattes_and_empty_bands_score_zero():
    for metric in (AlphaMSE(), AlphaSAD(), AlphaGradient()):
        metric.update(*tensors(TRUTH, TRUTH))
        metric.update(*tensors(ALPHA, TRUTH, np.zeros_like(BAND)))
        assert float(metric.compute()) == 0
