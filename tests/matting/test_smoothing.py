"""Smoothing of mattes: along the flow, and only between pixels of similar colour."""

import numpy as np

from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_window import Neighbour, TemporalWindow
from dreaming.matting.smoothing import MatteSmoothing

RNG = np.random.default_rng(2)
IMAGE, MATTE = RNG.integers(0, 256, (10, 14, 3), np.uint8), RNG.random((10, 14)).astype(np.float32)


def moved(by):
    """Neighbours whose pixels lie ``by`` columns further right, with the flow to them."""
    flow = np.zeros((10, 14, 2), np.float32)
    flow[..., 0] = by
    return np.roll(IMAGE, by, 1), np.roll(MATTE, by, 1) + np.float32(0.2), flow


def test_the_mean_follows_the_flow():
    image, matte, flow = moved(2)
    window = TemporalWindow("b", (IMAGE, MATTE), ([], [Neighbour("c", (image, matte), flow)]))
    found = MatteSmoothing(DisFlow(), sigma=1.0).mean(window)
    weight = np.exp(-0.5)
    np.testing.assert_allclose(found[:, :11], (MATTE + weight * (MATTE + 0.2))[:, :11] / (1 + weight), atol=1e-5)


def test_other_colours_do_not_count():
    image, matte, flow = moved(0)
    window = TemporalWindow("b", (IMAGE // 4, MATTE), ([Neighbour("a", (image // 4 + 100, matte), flow)], []))
    np.testing.assert_allclose(MatteSmoothing(DisFlow()).mean(window), MATTE, atol=1e-5)
