"""Selection of the number of components of a Gaussian mixture, and a plot of the scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, TypeAlias

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture

Colours = NDArray[np.float64]
"""(P, 3) RGB in 0..1."""


Criterion: TypeAlias = Literal["bic", "silhouette"]
"""Selects the number of components: Bayesian information criterion or mean silhouette."""


SILHOUETTE_COLOURS = 2000
"""Colours that a silhouette is computed on; it takes time and memory proportional to their square."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Scores of each number of components.

    Attributes:
        criterion: Kind of the scores.
        counts: (N,) numbers of components.
        scores: (N, F), one per fit: Bayesian information criterion in nats per pixel (lowest is best) or mean
            silhouette in -1..1 (highest is best).
    """

    criterion: Criterion
    counts: NDArray[np.int64]
    scores: NDArray[np.float64]

    @property
    def best(self) -> int:
        """The number of components with the best mean score; of equal ones, the smaller."""
        means = self.scores.mean(axis=1)
        index = means.argmin() if self.criterion == "bic" else means.argmax()
        return int(self.counts[index])


def try_counts(
    colours: Colours, counts: Sequence[int], fits: int, criterion: Criterion, seed: int, reg_covar: float
) -> Trials:
    """Fit mixtures of each number of components, each on its own random half of the colours, and score them.

    Args:
        colours: (P, 3) RGB in 0..1.
        counts: Numbers of components to try.
        fits: Fits of each number.
        criterion: How to score a fit.
        seed: Seed of the halves and the fits.
        reg_covar: Added to the variances.
    """
    scores = np.zeros((len(counts), fits))
    for fit in range(fits):
        rng = np.random.default_rng([seed, fit])
        half = rng.permutation(colours)[: max(2, len(colours) // 2)]
        for index, count in enumerate(counts):
            scores[index, fit] = _score(half, count, criterion, seed + fit, reg_covar)
    return Trials(criterion, np.asarray(counts), scores)


def _score(colours: Colours, count: int, criterion: Criterion, seed: int, reg_covar: float) -> float:
    mixture = GaussianMixture(count, random_state=seed, reg_covar=reg_covar, max_iter=50).fit(colours)
    if criterion == "bic":
        return float(mixture.bic(colours)) / len(colours)
    few = colours[:SILHOUETTE_COLOURS]
    labels = mixture.predict(few)
    # The silhouette is undefined where all colours fall to one component.
    return float(silhouette_score(few, labels)) if 1 < len(set(labels)) < len(few) else -1.0


def draw_trials(trials: dict[str, Trials]) -> bytes:
    """Draw a PNG with a panel per mixture: mean and standard deviation of the scores by number of components."""
    figure = Figure(figsize=(5 * len(trials), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, trial) in zip(figure.subplots(1, len(trials), squeeze=False)[0], trials.items(), strict=True):
        axes.errorbar(trial.counts, trial.scores.mean(axis=1), trial.scores.std(axis=1), capsize=3, marker="o")
        axes.axvline(trial.best, linestyle=":", color="grey")
        axes.set(title=f"{name}: {trial.best} components", xlabel="components", xticks=trial.counts)
        unit = "information criterion, nats per pixel" if trial.criterion == "bic" else "mean silhouette"
        axes.set_ylabel(unit)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()
