"""The figures a checkpoint is chosen by."""

import pytest
import torch

from dreaming.errors import ConfigError
from dreaming.models.style_metrics import CompositeScore, StyleMetrics, flicker_of


def test_quality_is_the_product_of_powers():
    found = {name: torch.tensor(value) for name, value in {"likeness": 0.8, "sharpness": 0.5}.items()}
    flickering = found | {"flicker": torch.tensor(1.0)}
    assert float(CompositeScore().of(flickering)) == pytest.approx(0.8 * 0.5**0.1)
    steady = CompositeScore(sharpness=0.0, flicker=0.5)
    assert float(steady.of(flickering)) == pytest.approx(0.8 / 2**0.5)
    assert float(steady.of(found | {"flicker": torch.tensor(0.5)})) > float(steady.of(flickering))
    assert float(steady.of(found)) == pytest.approx(0.8)
    seen = CompositeScore(sharpness=0.0, perceptual=2.0)
    assert float(seen.of(flickering | {"perceptual": torch.tensor(1.0)})) == pytest.approx(0.8 / 4)
    assert float(CompositeScore().of(found | {"likeness": torch.tensor(-0.8)})) == 0


def test_features_are_compared_where_it_counts_and_only_where_there_are_any():
    judge, mask = StyleMetrics(), torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    mask[..., :8] = True
    styled = torch.rand(1, 3, 16, 16)
    spoilt = styled.clone()
    spoilt[..., 14:] = -1

    def features(image):
        return [image, image[:, :1]]

    judge.update(spoilt, styled, mask, features)
    assert float(judge.compute()["perceptual"]) == 0
    judge.update(styled + 0.5, styled, torch.ones_like(mask), features)
    assert float(judge.compute()["perceptual"]) == pytest.approx(0.25)
    judge.update(styled, styled, mask)
    assert "perceptual" not in judge.compute()


def test_a_judge_begins_anew_after_each_verdict():
    judge, mask = StyleMetrics(), torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    mask[..., :8] = True
    styled = torch.rand(1, 3, 16, 16)
    spoilt = styled.clone()
    spoilt[..., 14:] = -1
    judge.update(spoilt, styled, mask)
    first = judge.compute()
    assert float(first["loss"]) == 0, "nothing is wrong where it counts"
    assert float(first["likeness"]) == pytest.approx(1.0, abs=1e-4)
    judge.update(styled + 0.5, styled, mask)
    assert float(judge.compute()["loss"]) == pytest.approx(0.25, abs=1e-6)
    assert not judge.state_dict(), "nothing of it lies in checkpoints"


def pair(count=2):
    """Frames of which each is 0.1 brighter than its predecessor, a pixel further right."""
    before = torch.rand(count, 5, 12, 12) / 2
    after = before.roll(1, dims=3) + 0.1
    motion, seen = torch.zeros(count, 2, 12, 12), torch.zeros(count, 1, 12, 12, dtype=torch.bool)
    motion[:, 0] = -1
    seen[..., 2:-2, 2:-2] = True
    return {"before": before, "after": after, "motion": motion, "seen": seen}


@pytest.mark.parametrize("gain", [0.0, 0.5, 3.0])
def test_flicker_is_a_ratio_to_that_of_the_frames(gain):
    assert float(flicker_of(lambda frame: gain * frame[:, :3], pair())) == pytest.approx(gain, rel=1e-4)


def test_one_crop_is_stylised_at_a_time():
    sizes = []
    flicker_of(lambda frame: sizes.append(len(frame)) or frame[:, :3], pair(3))
    assert sizes == [1] * 6


@pytest.mark.parametrize("wrong", [{"sharpness": -0.1}, {"flicker": float("nan")}, {"perceptual": -1.0}])
def test_a_power_below_nothing_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"model\.style\.module\.quality"):
        CompositeScore(**wrong)
