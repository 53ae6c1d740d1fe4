"""The picture of a search exists whatever of the search exists."""

import cv2
import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from dreaming.sweep.dashboard import draw_dashboard


@pytest.mark.parametrize("with_plots", [False, True])
def test_trials_and_existing_plots_are_drawn(tmp_path, with_plots):
    study = optuna.create_study(direction="maximize")
    for value, state in ((0.5, TrialState.COMPLETE), (0.2, TrialState.PRUNED)):
        study.add_trial(
            create_trial(
                value=value, state=state, params={"lr": value}, distributions={"lr": FloatDistribution(0, 1)},
                intermediate_values={50: value / 2, 100: value},
            )
        )  # fmt: skip
    plots = {}
    if with_plots:
        plots["param_importances"] = tmp_path / "importances.png"
        cv2.imwrite(str(plots["param_importances"]), np.full((40, 60, 3), (0, 200, 0), np.uint8))
    picture = cv2.imread(str(draw_dashboard(study, plots, tmp_path / "dashboard.png")))
    green = (picture == (0, 200, 0)).all(axis=2).any()
    assert green == with_plots
    assert (picture[: len(picture) // 2] < 255).any(), "curves and values"


def test_a_search_without_learning_curves_says_so(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr("matplotlib.axes.Axes.text", lambda axes, x, y, text, **_: written.append(text))
    study = optuna.create_study(direction="maximize")
    study.add_trial(create_trial(value=0.5, params={}, distributions={}))
    draw_dashboard(study, {}, tmp_path / "dashboard.png")
    assert len(written) == 1
