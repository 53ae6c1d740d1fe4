"""Opacity: merging, integers and linear light, against values by hand."""

import numpy as np
import pytest

from dreaming.imaging.alpha import merge_layers, to_integers, to_linear


def pixel(*values):
    return np.array(values, np.float32).reshape(1, 1, -1)


def opacity(value):
    return np.full((1, 1), value, np.float32)


def test_a_single_layer_is_unchanged():
    colours, alpha = merge_layers([(pixel(10, 20, 30), opacity(0))])
    assert colours.ravel().tolist() == [10, 20, 30]
    assert alpha.item() == 0


def test_layers_lie_over_each_other():
    colours, alpha = merge_layers([(pixel(100, 0, 0), opacity(0.5)), (pixel(0, 200, 0), opacity(0.25))])
    assert alpha.item() == pytest.approx(0.25 + 0.5 * 0.75)
    np.testing.assert_allclose(colours.ravel(), [100 * 0.375 / 0.625, 200 * 0.25 / 0.625, 0], rtol=1e-5)
    colours, alpha = merge_layers([(pixel(100, 0, 0), opacity(1)), (pixel(0, 200, 0), opacity(0))])
    assert (*colours.ravel(), alpha.item()) == (100, 0, 0, 1)


def test_integers_are_rounded():
    half = pixel(255, 100, 0), opacity(0.5)
    assert to_integers(*half, 8).ravel().tolist() == [255, 100, 0, 128]
    assert to_integers(*half, 16).ravel().tolist() == [65535, 25700, 0, 32768]
    assert to_integers(*half, 8, premultiplied=True).ravel().tolist() == [128, 50, 0, 128]
    assert to_integers(*half, 16, premultiplied=True).ravel().tolist() == [32768, 12850, 0, 32768]


def test_light_is_linear_and_premultiplied():
    linear = to_linear(pixel(255, 128, 5), opacity(0.5)).ravel()
    np.testing.assert_allclose(linear, [0.5, 0.2158605 / 2, 5 / 255 / 12.92 / 2, 0.5], rtol=1e-5)
