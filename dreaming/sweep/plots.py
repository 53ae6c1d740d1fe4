"""Pictures of a search, by Optuna: PNG always, HTML to look around in where plotly is installed."""

import logging
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import TrialState

from dreaming.sweep.dashboard import draw_dashboard
from dreaming.sweep.study import FINISHED

log = logging.getLogger(__name__)

ONE = ("optimization_history", "param_importances", "parallel_coordinate", "slice")
SEVERAL = ("pareto_front",)


def draw(study: Study, folder: Path) -> list[Path]:
    """Draw a study into a folder; return the PNG files."""
    mpl.use("Agg")
    # It tells of parameters whose choices are numbers, once for each picture.
    logging.getLogger("matplotlib.category").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # What Optuna and matplotlib say of few or equal values can be seen in the pictures.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"optuna\.|matplotlib\.")
        return _draw(with_short_names(study), folder)


def with_short_names(study: Study) -> Study:
    """The same trials with each parameter called by the end of its key, as far as that tells it from the others.

    Optuna cuts names from the right, and all keys begin alike.
    """
    trials = study.get_trials(states=FINISHED)
    names = sorted({name for trial in trials for name in trial.params})
    shown = {name: _short(name, names) for name in names}
    copied = optuna.create_study(directions=study.directions)
    for trial in trials:
        trial.params = {shown[name]: value for name, value in trial.params.items()}
        trial.distributions = {shown[name]: value for name, value in trial.distributions.items()}
        copied.add_trial(trial)
    return copied


def _short(name: str, names: list[str]) -> str:
    parts = name.split(".")
    ends = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
    return next(end for end in ends if sum(f".{other}".endswith(f".{end}") for other in names) == 1)


def _draw(study: Study, folder: Path) -> list[Path]:
    alone = len(study.directions) == 1
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    # Of pruned trials alone Optuna draws nothing.
    names = (ONE if alone else SEVERAL) if complete else ()
    html = optuna.visualization.is_available()
    made = []
    for name in names:
        try:
            axes = getattr(optuna.visualization.matplotlib, f"plot_{name}")(study)
            if name == "parallel_coordinate":
                # An axis for each parameter, whose labels would lie over one another.
                axes.figure.set_size_inches(max(6.4, 1.4 * len(axes.figure.axes)), 4.8)
            made.append(_save(axes, folder / f"{name}.png"))
            if html:
                figure = getattr(optuna.visualization, f"plot_{name}")(study)
                # plotly's script lies once beside the pages, which so work without a network.
                figure.write_html(folder / f"{name}.html", include_plotlyjs="directory")
        except (ValueError, RuntimeError, ZeroDivisionError) as error:
            log.info("%s cannot be drawn of so few trials: %s", name, str(error).rstrip("."))
    if alone and study.trials:
        made.append(draw_dashboard(study, {path.stem: path for path in made}, folder / "dashboard.png"))
    return made


def _save(axes: Any, path: Path) -> Path:
    from matplotlib import pyplot

    figure = np.ravel(axes)[0].figure
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)
    return path
