"""Means over frames."""

import pytest
import torch

from dreaming.metrics.base import FrameMean, MaskMean


class Difference(FrameMean):
    def score(self, one, other):
        return one - other


def test_frames_count_equally_however_they_are_batched():
    metric = Difference()
    metric.update([5.0, 4.0], [1.0, 1.0])
    metric.update([2.0], [0.0])
    assert metric.compute().item() == pytest.approx(3)
    metric.reset()
    metric.update([7.0], [0.0])
    assert metric.compute().item() == pytest.approx(7)


def test_sequences_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="zip"):
        Difference().update([1.0, 2.0], [1.0])


def test_no_state_is_float64_which_apple_s_gpus_lack():
    assert all(state.dtype != torch.float64 for state in MaskMean().metric_state.values())
