"""Crispness and stroke distance: by hand, for blur and moved strokes, and against the shared script."""

import importlib.util

import cv2
import numpy as np
import pytest
import torch

from dreaming.metrics.strokes import Crispness, StrokeDistance, crispness, stroke_distance

RNG = np.random.default_rng(3)
NOISE = cv2.GaussianBlur(RNG.integers(0, 256, (96, 160, 3), dtype=np.uint8), (0, 0), 1)
PAINTED, MOVED = NOISE[:, :128], NOISE[:, 32:]
BLURRED = cv2.GaussianBlur(PAINTED, (0, 0), 2)


def tensor(image):
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1) / 255


def test_crispness_by_hand():
    point, double = np.zeros((2, 9, 9, 3), np.uint8)
    point[4, 4], double[4, 4] = 100, 200
    assert crispness(tensor(double), tensor(point)) == pytest.approx(2)
    flat = torch.zeros(3, 9, 9)
    assert crispness(flat, tensor(point)) == 0
    assert crispness(tensor(point), flat) == pytest.approx(800 / 81 / 0.1)


def test_blur_is_worse_than_moved_strokes():
    assert crispness(tensor(PAINTED), tensor(PAINTED)) == 1
    assert stroke_distance(tensor(PAINTED), tensor(PAINTED)) == 0
    assert crispness(tensor(BLURRED), tensor(PAINTED)) < 0.5
    assert crispness(tensor(MOVED), tensor(PAINTED)) == pytest.approx(1, abs=0.05)
    assert stroke_distance(tensor(BLURRED), tensor(PAINTED)) > 3 * stroke_distance(tensor(MOVED), tensor(PAINTED))


@pytest.mark.parametrize("side", [8, 16, 31])
def test_small_and_flat_frames_have_a_distance(side):
    image = tensor(PAINTED[:side, :side])
    assert stroke_distance(image, image) == 0
    assert np.isfinite(stroke_distance(image, torch.zeros_like(image)))


def test_metrics_are_means_over_frames():
    both = torch.stack([tensor(PAINTED), tensor(BLURRED)]), tensor(PAINTED).expand(2, -1, -1, -1)
    for metric, score in ((Crispness(), crispness), (StrokeDistance(), stroke_distance)):
        expected = np.mean([score(image, tensor(PAINTED)) for image in both[0]])
        assert float(metric(*both)) == pytest.approx(expected, rel=1e-6)


def test_the_shared_script_agrees(shared):
    spec = importlib.util.spec_from_file_location("score_strokes", shared / "score" / "strokes.py")
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    grey, truth = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in (BLURRED, PAINTED))
    assert crispness(tensor(BLURRED), tensor(PAINTED)) == pytest.approx(score.crisp(grey) / score.crisp(truth))
    expected = score.distance(grey, truth)
    assert stroke_distance(tensor(BLURRED), tensor(PAINTED)) == pytest.approx(expected, rel=1e-5)
