"""Plots of a search, drawn by Optuna: PNG always, interactive HTML where plotly is installed."""

import io
import logging
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import TrialState

from dreaming.artifacts.output_file import write_output
from dreaming.sweep.dashboard import draw_dashboard
from dreaming.sweep.study import FINISHED

log = logging.getLogger(__name__)

ONE_OBJECTIVE = ("optimization_history", "param_importances", "parallel_coordinate", "slice")
TWO_OBJECTIVES = ("pareto_front",)


def draw_plots(study: Study, folder: Path) -> list[Path]:
    """Draw a study into a folder; return the PNG files."""
    mpl.use("Agg")
    # It logs a line about categories that are numbers for each plot.
    logging.getLogger("matplotlib.category").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # Optuna and matplotlib warn about few or equal values, which the plots show.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"optuna\.|matplotlib\.")
        return _draw(with_short_names(study), folder)


def with_short_names(study: Study) -> Study:
    """Copy a study's finished trials, each parameter named by the shortest unique end of its key.

    Optuna truncates names on the right, where keys differ.
    """
    trials = study.get_trials(states=FINISHED)
    names = sorted({name for trial in trials for name in trial.params})
    short = {name: _short_name(name, names) for name in names}
    copy = optuna.create_study(directions=study.directions)
    for trial in trials:
        trial.params = {short[name]: value for name, value in trial.params.items()}
        trial.distributions = {short[name]: value for name, value in trial.distributions.items()}
        copy.add_trial(trial)
    return copy


def _short_name(name: str, names: list[str]) -> str:
    parts = name.split(".")
    ends = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
    return next(end for end in ends if sum(f".{other}".endswith(f".{end}") for other in names) == 1)


def _draw(study: Study, folder: Path) -> list[Path]:
    single = len(study.directions) == 1
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    # Optuna draws complete trials only.
    names = (ONE_OBJECTIVE if single else TWO_OBJECTIVES) if complete else ()
    html = optuna.visualization.is_available()
    paths = []
    for name in names:
        try:
            axes = getattr(optuna.visualization.matplotlib, f"plot_{name}")(study)
            if name == "parallel_coordinate":
                # One axis for each parameter; at the default width their labels overlap.
                axes.figure.set_size_inches(max(6.4, 1.4 * len(axes.figure.axes)), 4.8)
            paths.append(_save(axes, folder / f"{name}.png"))
            if html:
                figure = getattr(optuna.visualization, f"plot_{name}")(study)
                # One copy of plotly's script beside the pages: they work without a network.
                write_output(folder / f"{name}.html", figure.to_html(include_plotlyjs="directory").encode())
                write_output(folder / "plotly.min.js", import_module("plotly.offline").get_plotlyjs().encode())
        except (ValueError, RuntimeError, ZeroDivisionError) as error:
            log.debug("no plot %s, because there are too few trials: %s", name, error)
    if single and study.trials:
        paths.append(draw_dashboard(study, {path.stem: path for path in paths}, folder / "dashboard.png"))
    return paths


def _save(axes: Any, path: Path) -> Path:
    from matplotlib import pyplot

    figure, picture = np.ravel(axes)[0].figure, io.BytesIO()
    figure.savefig(picture, format="png", dpi=120, bbox_inches="tight")
    pyplot.close(figure)
    write_output(path, picture.getvalue())
    return path
