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
        return _draw(study, folder)


def _draw(study: Study, folder: Path) -> list[Path]:
    names = ONE if len(study.directions) == 1 else SEVERAL
    html = optuna.visualization.is_available()
    made = []
    for name in names:
        try:
            axes = getattr(optuna.visualization.matplotlib, f"plot_{name}")(study)
            made.append(_save(axes, folder / f"{name}.png"))
            if html:
                figure = getattr(optuna.visualization, f"plot_{name}")(study)
                # plotly's script lies once beside the pages, which so work without a network.
                figure.write_html(folder / f"{name}.html", include_plotlyjs="directory")
        except (ValueError, RuntimeError, ZeroDivisionError) as error:
            log.info("%s cannot be drawn of so few trials: %s", name, str(error).rstrip("."))
    return made


def _save(axes: Any, path: Path) -> Path:
    from matplotlib import pyplot

    figure = np.ravel(axes)[0].figure
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)
    return path
