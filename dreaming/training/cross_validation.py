"""How well masks are found that were not learnt from: by one fit where some are held out, else by folds together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Self

from dreaming.training.fit_result import FitResult

FOLDS = "folds"
"""The protocol by which each mask is left out once."""


@dataclass(frozen=True)
class ValidationResult:
    """What was measured on masks that were not learnt from.

    Attributes:
        protocol: How they were come by; see ``runs.Best``.
        score: Best monitored value.
        steps: Training steps at which it was reached.
        curve: Mean of the folds' monitored values by step; empty without folds.
        outcomes: The fits behind it.
        pictures: Folders of the folds' pictures.
    """

    validation: str
    score: float
    steps: int
    curve: Mapping[int, float]
    outcomes: tuple[FitResult, ...]
    pictures: tuple[Path, ...]

    @classmethod
    def of_folds(cls, outcomes: Sequence[FitResult], pictures: Iterable[Path], sign: int) -> Self:
        """The folds together: the best of their mean curve, the earliest where several are.

        Args:
            outcomes: The folds' fits.
            pictures: Folders of their pictures.
            sign: +1 where more of the monitored value is better, -1 where less is.
        """
        curve = mean_curve([outcome.curve for outcome in outcomes])
        steps = max(curve, key=lambda step: (sign * curve[step], -step))
        return cls(FOLDS, curve[steps], steps, curve, tuple(outcomes), tuple(pictures))


def mean_curve(curves: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """The mean of the folds' monitored values by step; a fold that stopped early stands for its last value."""
    steps = sorted(set().union(*curves))
    held = [[curve[max((s for s in curve if s <= step), default=min(curve))] for step in steps] for curve in curves]
    return {step: fmean(values) for step, values in zip(steps, zip(*held, strict=True), strict=True)}
