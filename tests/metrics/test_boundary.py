"""The boundary F-measure agrees with a pixel-by-pixel version of its definition."""

import math

import cv2
import numpy as np
import pytest
import torch

from dreaming.metrics.boundary import BoundaryF, boundary_f, outline


def plain(predicted, truth, tolerance):
    """``boundary_f``, pixel by pixel."""

    def line(mask):
        padded = np.pad(mask, 1, mode="edge")
        height, width = mask.shape
        return [
            (y, x)
            for y in range(height)
            for x in range(width)
            if mask[y, x]
            and not (padded[y, x + 1] and padded[y + 2, x + 1] and padded[y + 1, x] and padded[y + 1, x + 2])
        ]

    ours, theirs = line(predicted), line(truth)
    if not ours or not theirs:
        return float(ours == theirs)
    radius = math.ceil(tolerance * math.hypot(*truth.shape))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    offsets = [(y - radius, x - radius) for y, x in np.argwhere(disk)]

    def matched(points, others):
        others = set(others)
        return sum(any((y + dy, x + dx) in others for dy, dx in offsets) for y, x in points) / len(points)

    precision, recall = matched(ours, theirs), matched(theirs, ours)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_the_definition(seed):
    rng = np.random.default_rng(seed)
    smooth = [cv2.GaussianBlur(rng.standard_normal((30, 44)).astype(np.float32), (0, 0), 3) for _ in range(2)]
    truth, predicted = smooth[0] > 0, smooth[0] + 0.4 * smooth[1] > 0.02
    for tolerance in (0.008, 0.03, 0.06):
        assert boundary_f(predicted, truth, tolerance) == pytest.approx(plain(predicted, truth, tolerance))


def test_outline_is_inside_and_excludes_the_frame_s_border():
    mask = np.zeros((5, 6), bool)
    mask[1:, :4] = True
    expected = np.zeros((5, 6), bool)
    expected[1, :4] = expected[1:, 3] = True
    assert (outline(mask) == expected).all()


def test_only_shifts_beyond_the_tolerance_lower_the_score():
    truth = np.zeros((60, 80), bool)  # a diagonal of 100 pixels
    truth[20:40, 20:40] = True
    assert boundary_f(np.roll(truth, 1, axis=1), truth, tolerance=0.01) == 1
    assert boundary_f(np.roll(truth, 30, axis=1), truth, tolerance=0.01) == 0


def test_empty_masks():
    empty, full = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    full[2:5, 2:5] = True
    assert boundary_f(empty, empty) == 1
    assert boundary_f(empty, full) == boundary_f(full, empty) == 0


def test_metric_is_the_mean_over_frames():
    truth = torch.zeros(2, 1, 8, 8)
    truth[:, :, 2:5, 2:5] = 1
    metric = BoundaryF()
    metric.update(truth * torch.tensor([0.9, 0.1]).view(2, 1, 1, 1), truth)
    assert metric.compute().item() == 0.5
