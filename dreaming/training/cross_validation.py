"""The score of a training on held-out data: from one fit, or from all folds of a cross-validation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Self

from dreaming.training.fit_result import FitResult

FOLDS = "folds"
"""Name of cross-validation, which leaves out each mask once."""


@dataclass(frozen=True)
class ValidationResult:
    """Score of a training on held-out data.

    Attributes:
        validation: How data was held out; see ``run_registry.Best``.
        score: Best monitored value.
        steps: Training steps at which it was reached.
        curve: Monitored value by step, averaged over folds; empty without folds.
        results: Results of the fits.
        pictures: Pictures drawn by the folds.
    """

    validation: str
    score: float
    steps: int
    curve: Mapping[int, float]
    results: tuple[FitResult, ...]
    pictures: tuple[Path, ...] = ()

    @classmethod
    def of_folds(cls, results: Sequence[FitResult], pictures: Iterable[Path], sign: int) -> Self:
        """Combine folds: the best value of their mean curve, at its earliest step; ``sign`` +1: higher is better."""
        curve = mean_curve([result.curve for result in results])
        steps = max(curve, key=lambda step: (sign * curve[step], -step))
        return cls(FOLDS, curve[steps], steps, curve, tuple(results), tuple(pictures))

    @classmethod
    def of_fit(cls, validation: str, result: FitResult) -> Self:
        """Take the score of the only fit, which validated on held-out data."""
        return cls(validation, result.score, result.step, {}, (result,))


def mean_curve(curves: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Average the folds' monitored values by step; a fold that stopped early keeps its last value."""
    steps = sorted(set().union(*curves))
    held = [[curve[max((s for s in curve if s <= step), default=min(curve))] for step in steps] for curve in curves]
    return {step: fmean(values) for step, values in zip(steps, zip(*held, strict=True), strict=True)}
