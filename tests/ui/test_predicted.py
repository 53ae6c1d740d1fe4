"""A mask reaches a frame far away in few steps."""

import pytest

from dreaming.clip.intervals import FrameInterval
from dreaming.ui.predicted import STEPS, propagate_to, thinned


@pytest.mark.parametrize(
    ("index", "before", "after"), [(0, 0, STEPS), (3, 3, STEPS), (500, STEPS, STEPS), (999, STEPS, 0)]
)
def test_few_frames_are_left_on_the_way(index, before, after):
    stems = tuple(f"{number:04d}" for number in range(1000))
    thin = thinned(FrameInterval("left", stems, "right"), stems[index])
    assert (thin.left, thin.right) == ("left", "right")
    assert list(thin.stems) == sorted(set(thin.stems))
    place = thin.stems.index(stems[index])
    assert abs(place - before) <= 1
    assert abs(len(thin.stems) - place - 1 - after) <= 1


def test_steps_have_equal_lengths():
    stems = tuple(range(100))
    thin = thinned(FrameInterval(None, stems, None), 99).stems
    steps = {later - earlier for earlier, later in zip((-1, *thin), thin, strict=False)}
    assert len(thin) == STEPS
    assert max(steps) - min(steps) <= 1


def test_a_mask_is_propagated_over_frames_that_are_left_out(disc_clip, monkeypatch):
    monkeypatch.setattr("dreaming.ui.predicted.STEPS", 3)
    drawing = disc_clip(count=10, masks=(1, 10), size=(48, 64))
    mask, truth = propagate_to(drawing.clip, "subject", "0005") > 0.5, drawing.truth["0005"]
    assert (mask & truth).sum() / (mask | truth).sum() > 0.8
