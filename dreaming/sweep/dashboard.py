"""``dashboard.png``: one picture of a search with the same panels as its dashboard in Weights & Biases."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from dreaming.artifacts.output_file import write_output
from dreaming.sweep.study import FINISHED
from dreaming.sweep.trial import BEST_VALUE

STYLES = {TrialState.COMPLETE: ("tab:blue", "o", "complete"), TrialState.PRUNED: ("tab:orange", "x", "pruned")}
"""Colour, marker and label of a trial by its state."""


def draw_dashboard(study: Study, plots: Mapping[str, Path], path: Path) -> Path:
    """Draw the panels of a search with one objective as a PNG file; ``plots`` are those that exist already."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(14, 9), layout="constrained")
    halves = figure.add_gridspec(2, 1)
    upper, lower = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    trials = study.get_trials(deepcopy=False, states=FINISHED)
    curves, values = upper.subplots(1, 2)
    _plot_curves(curves, trials)
    _plot_values(values, trials)
    panels = lower.subplots(1, 2, width_ratios=(1, 2))
    for panel, name in zip(panels, ("param_importances", "parallel_coordinate"), strict=True):
        panel.axis("off")
        if name in plots:
            panel.imshow(pyplot.imread(plots[name]), interpolation="antialiased")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=80)
    pyplot.close(figure)
    write_output(path, picture.getvalue())
    return path


def _plot_curves(axes: Any, trials: list[FrozenTrial]) -> None:
    for trial in trials:
        curve = sorted(trial.intermediate_values.items())
        if curve:
            colour, marker, _ = STYLES[trial.state]
            percent, values = zip(*curve, strict=True)
            axes.plot(percent, values, color=colour, alpha=0.6)
            axes.plot(percent[-1], values[-1], color=colour, marker=marker)
    axes.set(title="Learning curves", xlabel="percent of the training", ylabel="monitored value")
    if not axes.lines:
        axes.text(0.5, 0.5, "none: no network was trained", ha="center", va="center", transform=axes.transAxes)


def _plot_values(axes: Any, trials: list[FrozenTrial]) -> None:
    for state, (colour, marker, label) in STYLES.items():
        shown = [trial for trial in trials if trial.state is state and trial.value is not None]
        if shown:
            numbers = [trial.number for trial in shown]
            values = [trial.user_attrs.get(BEST_VALUE, trial.value) for trial in shown]
            axes.scatter(numbers, values, c=colour, marker=marker, label=label)
    axes.set(title="Score of each trial", xlabel="trial", ylabel="score")
    axes.legend()
