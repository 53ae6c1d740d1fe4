"""How many components a Gaussian mixture needs, and the plot that shows it."""

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
"""What tells the best number of components: Bayesian information criterion or mean silhouette."""


@dataclass(frozen=True, eq=False)
class Trials:
    """What each number of components scored.

    Attributes:
        criterion: By which it was judged.
        counts: (N,) numbers of components.
        scores: (N, F), one for each fit; the lowest Bayesian information criterion is the best, in nats a pixel, but
            the highest silhouette, in -1..1.
    """

    criterion: Criterion
    counts: NDArray[np.int64]
    scores: NDArray[np.float64]

    @property
    def best(self) -> int:
        """The number of components of the best mean score; the smaller of two that are equal."""
        means = self.scores.mean(axis=1)
        place = means.argmin() if self.criterion == "bic" else means.argmax()
        return int(self.counts[place])


def try_counts(
    colours: Colours,
    counts: Sequence[int],
    fits: int,
    criterion: Criterion,
    seed: int,
    floor: float,
    judged: int = 2000,
) -> Trials:
    """Fit mixtures of each number of components, each to its own half of the colours, and judge them.

    Args:
        colours: (P, 3) RGB in 0..1.
        counts: Numbers of components to try.
        fits: Fits of each number.
        criterion: By which to judge.
        seed: Of the halves and the fits.
        floor: Added to the variances.
        judged: Colours that a silhouette, which takes the square of their number, is measured on.
    """
    scores = np.zeros((len(counts), fits))
    for fit in range(fits):
        rng = np.random.default_rng([seed, fit])
        half = rng.permutation(colours)[: max(2, len(colours) // 2)]
        for place, count in enumerate(counts):
            scores[place, fit] = _score(half, count, criterion, seed + fit, floor, judged)
    return Trials(criterion, np.asarray(counts), scores)


def _score(colours: Colours, count: int, criterion: Criterion, seed: int, floor: float, judged: int) -> float:
    mixture = GaussianMixture(count, random_state=seed, reg_covar=floor, max_iter=50).fit(colours)
    if criterion == "bic":
        return float(mixture.bic(colours)) / len(colours)
    few = colours[:judged]
    labels = mixture.predict(few)
    # Where all colours fall to one component there is no second cluster to be apart from.
    return float(silhouette_score(few, labels)) if 1 < len(set(labels)) < len(few) else -1.0


def draw_trials(trials: dict[str, Trials]) -> bytes:
    """A PNG with a panel for each mixture: mean score and standard deviation over the number of components."""
    figure = Figure(figsize=(5 * len(trials), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, trial) in zip(figure.subplots(1, len(trials), squeeze=False)[0], trials.items(), strict=True):
        axes.errorbar(trial.counts, trial.scores.mean(axis=1), trial.scores.std(axis=1), capsize=3, marker="o")
        axes.axvline(trial.best, linestyle=":", color="grey")
        axes.set(title=f"{name}: {trial.best} components", xlabel="components", xticks=trial.counts)
        unit = "information criterion, nats a pixel" if trial.criterion == "bic" else "mean silhouette"
        axes.set_ylabel(unit)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()
