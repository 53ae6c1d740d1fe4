"""The Jaccard index is averaged over frames, not pixels."""

import pytest
import torch

from dreaming.metrics.region import FrameJaccard


def frame(*values):
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 2, -1)


def test_frames_count_equally_whatever_their_area():
    metric = FrameJaccard()
    truth = torch.cat([frame(1, 1, 1, 1, 0, 0), frame(1, 0, 0, 0, 0, 0)])
    predicted = torch.cat([frame(0.9, 0.6, 0.51, 0.5, 0.2, 0.7), frame(0.1, 0, 0.2, 0, 0, 0)])
    metric.update(predicted, truth)  # 3 of 5, and 0 of 1
    assert metric.compute().item() == pytest.approx((3 / 5 + 0) / 2)


def test_batching_has_no_effect_and_empty_masks_score_one():
    metric = FrameJaccard()
    metric.update(frame(0.6, 0, 0, 0), frame(1, 0, 0, 0))
    metric.update(frame(0.2, 0, 0, 0), frame(0, 0, 0, 0))
    metric.update(frame(0.6, 0.6, 0, 0), frame(1, 0, 0, 0))
    assert metric.compute().item() == pytest.approx((1 + 1 + 0.5) / 3)
    metric.reset()
    metric.update(frame(1, 0, 0, 0), frame(0, 0, 0, 0))
    assert metric.compute().item() == 0
