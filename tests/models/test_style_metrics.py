"""Metrics by which the best checkpoint is chosen."""

import pytest
import torch

from dreaming.losses.style import temporal_loss
from dreaming.models.style_metrics import FlickerRatio, HeldOutStrokes, StyleMetrics, composite_score


def test_the_composite_score_is_a_product_of_powers():
    values = {name: torch.tensor(value) for name, value in {"likeness": 0.8, "sharpness": 0.5}.items()}
    flickering = values | {"flicker": torch.tensor(1.0)}
    assert float(composite_score(flickering, {"sharpness": 0.1})) == pytest.approx(0.8 * 0.5**0.1)
    assert float(composite_score(flickering, {"flicker": 0.5})) == pytest.approx(0.8 / 2**0.5)
    assert float(composite_score(values, {"flicker": 0.5})) == pytest.approx(0.8)
    perceptual = flickering | {"perceptual": torch.tensor(1.0)}
    assert float(composite_score(perceptual, {"perceptual": 2.0})) == pytest.approx(0.8 / 4)
    assert float(composite_score(values | {"likeness": torch.tensor(-0.8)}, {})) == 0


def half_masked():
    """A painting, a copy with errors outside the mask, and the mask."""
    mask = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    mask[..., :8] = True
    styled = torch.rand(1, 3, 16, 16)
    generated = styled.clone()
    generated[..., 14:] = -1
    return generated, styled, mask


def test_features_are_compared_inside_the_mask_and_only_with_vgg():
    metrics, (generated, styled, mask) = StyleMetrics(), half_masked()

    def vgg(image):
        return [image, image[:, :1]]

    metrics.update(generated, styled, mask, vgg)
    assert float(metrics.compute()["perceptual"]) == 0
    metrics.reset()
    metrics.update(styled + 0.5, styled, torch.ones_like(mask), vgg)
    assert float(metrics.compute()["perceptual"]) == pytest.approx(0.25)
    metrics.reset()
    metrics.update(styled, styled, mask)
    assert "perceptual" not in metrics.compute()


def test_metrics_ignore_pixels_outside_the_mask_and_start_anew_after_a_reset():
    metrics, (generated, styled, mask) = StyleMetrics(), half_masked()
    metrics.update(generated, styled, mask)
    first = metrics.compute()
    assert float(first["loss"]) == 0
    assert float(first["likeness"]) == pytest.approx(1.0, abs=1e-4)
    metrics.reset()
    metrics.update(styled + 0.5, styled, mask)
    assert float(metrics.compute()["loss"]) == pytest.approx(0.25, abs=1e-6)
    assert not metrics.state_dict(), "metrics are not part of checkpoints"


def test_batches_are_weighted_by_their_pixels():
    apart, together = StyleMetrics(), StyleMetrics()
    generated, styled, mask = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16), torch.rand(2, 1, 16, 16) < 0.5
    mask[1] &= torch.rand(1, 16, 16) < 0.2
    together.update(generated, styled, mask)
    for index in range(2):
        apart.update(*(part[index : index + 1] for part in (generated, styled, mask)))
    torch.testing.assert_close(apart.compute(), together.compute())


def pair():
    """A frame that is 0.1 brighter than its predecessor and moved right by a pixel."""
    before = torch.rand(1, 5, 12, 12) / 2
    after = before.roll(1, dims=3) + 0.1
    motion, visible = torch.zeros(1, 2, 12, 12), torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    motion[:, 0] = -1
    visible[..., 2:-2, 2:-2] = True
    return {"before": before, "after": after, "motion": motion, "visible": visible}


@pytest.mark.parametrize("gain", [0.0, 0.5, 3.0])
def test_flicker_is_relative_to_the_source_frames(gain):
    metric = FlickerRatio()
    for each in (pair(), pair()):
        metric.update(gain * each["before"][:, :3], gain * each["after"][:, :3], each)
    assert float(metric.compute()) == pytest.approx(gain, rel=1e-4)


def test_frames_without_flicker_do_not_divide_by_zero():
    still, metric = pair(), FlickerRatio()
    still["after"] = still["before"]
    still["motion"] *= 0
    metric.update(still["before"][:, :3], still["before"][:, :3] + 0.1, still)
    expected = temporal_loss(still["before"], still["before"] + 0.1, still["motion"], still["visible"]) / 1e-3
    assert float(metric.compute()) == pytest.approx(float(expected), rel=1e-4)


def test_strokes_are_compared_inside_the_mask():
    strokes, mask = HeldOutStrokes(), torch.zeros(2, 1, 24, 24, dtype=torch.bool)
    mask[..., 4:20, 6:18] = True
    styled = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(3)) * 2 - 1
    strokes.add(torch.where(mask, styled, -1), styled, mask)
    same = strokes.compute()
    assert {name: round(float(value), 6) for name, value in same.items()} == {"crispness": 1, "stroke_distance": 0}
    strokes.reset()
    blurred = torch.nn.functional.avg_pool2d(styled, 3, stride=1, padding=1)
    strokes.add(blurred, styled, mask)
    blurred = strokes.compute()
    assert float(blurred["crispness"]) < 0.7
    assert float(blurred["stroke_distance"]) > 0.1


def test_too_few_pixels_have_no_strokes():
    strokes, mask = HeldOutStrokes(), torch.zeros(1, 1, 24, 24, dtype=torch.bool)
    mask[..., :7] = True
    strokes.add(torch.zeros(1, 3, 24, 24), torch.zeros(1, 3, 24, 24), mask)
    assert not strokes["crispness"].update_called
