"""The learning curve grows with the lines of a progress bar."""

import numpy as np

from dreaming.ui.learning_curve import POINTS, LearningCurve


def line(done, note, title="style painted"):
    return {"title": title, "done": done, "note": note}


def test_values_of_the_last_training_are_kept():
    curve = LearningCurve()
    curve.add(line(1, "3.2/s", "flow"))
    assert curve.state is None
    curve.add(line(5, "loss 9.000", "model unet"))
    curve.add(line(10, "loss 0.500"))
    curve.add(line(20, "loss 0.250, quality -0.125"))
    assert curve.state == {
        "title": "style painted", "curves": {"loss": [[10, 0.5], [20, 0.25]], "quality": [[20, -0.125]]},
    }  # fmt: skip


def test_a_training_that_begins_again_replaces_the_curve():
    curve = LearningCurve()
    for step in (10, 20, 5):
        curve.add(line(step, "loss 1.0"))
    assert curve.state["curves"] == {"loss": [[5, 1.0]]}


def test_a_long_curve_is_thinned_out():
    curve = LearningCurve()
    for step in range(10 * POINTS):
        curve.add(line(step, "loss 1.0"))
    steps = [step for step, _ in curve.state["curves"]["loss"]]
    assert POINTS / 2 - 1 <= len(steps) <= POINTS
    assert len(set(np.diff(steps))) == 1
