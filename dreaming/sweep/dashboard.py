"""One picture of a search as its dashboard in Weights & Biases shows it: courses, values, importance, combinations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from dreaming.sweep.study import FINISHED
from dreaming.sweep.trial import REACHED

KINDS = {TrialState.COMPLETE: ("tab:blue", "o", "complete"), TrialState.PRUNED: ("tab:orange", "x", "pruned")}


def draw_dashboard(study: Study, drawn: Mapping[str, Path], path: Path) -> Path:
    """Draw the panels of a search of one objective side by side.

    Args:
        study: The search.
        drawn: Pictures of it that there are already, by name; importance and parallel coordinates are taken from there.
        path: The PNG file.
    """
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(14, 9), layout="constrained")
    halves = figure.add_gridspec(2, 1)
    upper, lower = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    trials = study.get_trials(deepcopy=False, states=FINISHED)
    courses, values = upper.subplots(1, 2)
    _courses(courses, trials)
    _values(values, trials)
    pictures = lower.subplots(1, 2, width_ratios=(1, 2))
    for place, name in zip(pictures, ("param_importances", "parallel_coordinate"), strict=True):
        place.axis("off")
        if name in drawn:
            place.imshow(pyplot.imread(drawn[name]), interpolation="antialiased")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
    return path


def _courses(axes: Any, trials: list[FrozenTrial]) -> None:
    for trial in trials:
        course = sorted(trial.intermediate_values.items())
        if course:
            colour, marker, _ = KINDS[trial.state]
            percent, values = zip(*course, strict=True)
            axes.plot(percent, values, color=colour, alpha=0.6)
            axes.plot(percent[-1], values[-1], color=colour, marker=marker)
    axes.set(title="Course of each trial", xlabel="percent of its training", ylabel="monitored value")


def _values(axes: Any, trials: list[FrozenTrial]) -> None:
    for state, (colour, marker, name) in KINDS.items():
        shown = [trial for trial in trials if trial.state is state and trial.value is not None]
        if shown:
            numbers = [trial.number for trial in shown]
            values = [trial.user_attrs.get(REACHED, trial.value) for trial in shown]
            axes.scatter(numbers, values, c=colour, marker=marker, label=name)
    axes.set(title="What each trial reached", xlabel="trial", ylabel="score")
    axes.legend()
