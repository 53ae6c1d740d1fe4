"""Pictures of a search."""

import cv2
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution

from dreaming.sweep.pictures import draw


def searched(sweep, count, values):
    for number in range(count):
        trial = sweep.ask({"lr": FloatDistribution(0.1, 1.0), "norm": CategoricalDistribution(["a", "b"])})
        sweep.tell(trial, values(number))
    return sweep


def test_a_search_is_drawn(study, tmp_path):
    made = draw(searched(study(), 5, lambda number: number / 10), tmp_path)
    names = {"optimization_history", "param_importances", "parallel_coordinate", "slice"}
    assert {path.stem for path in made} == names
    for path in made:
        assert cv2.imread(str(path)).std() > 5, "an empty picture"
    if optuna.visualization.is_available():
        assert {path.stem for path in tmp_path.glob("*.html")} == names


def test_of_two_objectives_the_front_is_drawn(study, tmp_path):
    sweep = study(objectives=["score", "seconds"])
    (made,) = draw(searched(sweep, 4, lambda number: (number / 10, number)), tmp_path)
    assert made.stem == "pareto_front"
