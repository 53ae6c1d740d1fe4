"""Choosing one of several candidates by a few paired scores, without falling for chance."""

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean, stdev


def choose(scores: Mapping[str, Sequence[float]], order: Sequence[str], tolerance: float) -> str:
    """The candidate of the best mean score, or one more trusted that is not clearly behind it.

    With scores of three masks the best mean is often the luckiest one. The "one standard error rule" (Breiman et al.,
    "Classification and Regression Trees", 1984, section 3.4.3), applied to paired differences.

    Args:
        scores: Scores of each candidate on the same things, more being better.
        order: The candidates, the most trusted first.
        tolerance: Standard errors of the mean difference by which one may be behind.
    """
    best = max(order, key=lambda name: fmean(scores[name]))
    for name in order:
        differences = [ours - theirs for ours, theirs in zip(scores[name], scores[best], strict=True)]
        error = stdev(differences) / sqrt(len(differences)) if len(differences) > 1 else 0.0
        if fmean(differences) >= -tolerance * error:
            return name
    raise AssertionError("the best candidate is never behind itself")


def table(scores: Mapping[str, Sequence[float]], chosen: str) -> str:
    """The candidates with their mean scores, best first, in one line."""
    ranked = sorted(scores, key=lambda name: -fmean(scores[name]))
    return f"{chosen} is chosen; J of masks left out: " + ", ".join(f"{n} {fmean(scores[n]):.4f}" for n in ranked)
