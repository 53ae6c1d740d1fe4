"""Plots of a search."""

import cv2
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from dreaming.sweep.dashboard import draw_dashboard
from dreaming.sweep.plots import draw_plots, with_short_names


def searched(sweep, count, values):
    for number in range(count):
        trial = sweep.ask({"lr": FloatDistribution(0.1, 1.0), "norm": CategoricalDistribution(["a", "b"])})
        sweep.tell(trial, values(number))
    return sweep


def test_a_search_is_drawn(study, tmp_path):
    paths = draw_plots(searched(study(), 5, lambda number: number / 10), tmp_path)
    names = {"optimization_history", "param_importances", "parallel_coordinate", "slice"}
    assert {path.stem for path in paths} == {*names, "dashboard"}
    for path in paths:
        assert cv2.imread(str(path)).std() > 5, "an empty picture"
    if optuna.visualization.is_available():
        assert {path.stem for path in tmp_path.glob("*.html")} == names


def test_the_dashboard_shows_pruned_and_complete_trials_in_different_colours(study, tmp_path):
    pictures = []
    for state in (TrialState.COMPLETE, TrialState.PRUNED):
        sweep = optuna.create_study(direction="maximize")
        for number in range(4):
            trial = sweep.ask({"lr": FloatDistribution(0.1, 1.0)})
            for percent in (10, 20):
                trial.report(number / 10, percent)
            sweep.tell(trial, number / 10 if state is TrialState.COMPLETE else None, state=state)
        pictures.append(cv2.imread(str(draw_dashboard(sweep, {}, tmp_path / f"{state.name}.png"))))
    complete, pruned = (picture[..., 0].astype(int) - picture[..., 2].astype(int) for picture in pictures)
    assert (complete.max() > 100, complete.min() < -150) == (True, False), "blue lines"
    assert (pruned.max() > 100, pruned.min() < -150) == (False, True), "orange lines"


def test_of_pruned_trials_only_the_dashboard_is_drawn(study, tmp_path, capsys):
    sweep = study()
    assert draw_plots(sweep, tmp_path) == []
    for number in range(2):
        trial = sweep.ask({"lr": FloatDistribution(0.1, 1.0)})
        trial.report(number / 10, 10)
        sweep.tell(trial, state=TrialState.PRUNED)
    assert [path.stem for path in draw_plots(sweep, tmp_path)] == ["dashboard"]
    assert {path.stem for path in tmp_path.glob("*.png")} == {"dashboard"}
    assert capsys.readouterr().err == ""


def test_for_two_objectives_the_pareto_front_is_drawn(study, tmp_path):
    sweep = study(objectives=["score", "seconds"])
    (path,) = draw_plots(searched(sweep, 4, lambda number: (number / 10, number)), tmp_path)
    assert path.stem == "pareto_front"


def test_names_are_shortened_to_their_unique_end(study):
    sweep = study()
    space = {name: FloatDistribution(0.0, 1.0) for name in ("model.unet.lr", "model.cnn.lr", "data.crop", "crop_size")}
    for value in (0.1, 0.9):
        sweep.tell(sweep.ask(space), value)
    sweep.ask(space)
    short = with_short_names(sweep)
    assert [trial.value for trial in short.trials] == [0.1, 0.9], "a running trial has no value"
    for trial, before in zip(short.trials, sweep.trials, strict=False):
        assert trial.params == {
            "unet.lr": before.params["model.unet.lr"],
            "cnn.lr": before.params["model.cnn.lr"],
            "crop": before.params["data.crop"],
            "crop_size": before.params["crop_size"],
        }
    assert "model.unet.lr" in sweep.trials[0].params
