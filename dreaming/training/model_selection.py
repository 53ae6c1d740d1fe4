"""Choosing one of several candidates by a few paired scores, without falling for chance."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

from dreaming.errors import CheckpointError
from dreaming.io.manifest import read_known_record, write_record

CHOICE = "choice.json"


@dataclass(frozen=True)
class ModelSelection:
    """What was chosen, and on which evidence.

    Attributes:
        chosen: A form, or a masker that does better alone.
        scores: Jaccard index of each candidate at each left-out mask.
        stems: Names of those frames.
        parts: Names of the frames that were left out together.
    """

    chosen: str
    scores: Mapping[str, Sequence[float]]
    stems: Sequence[str]
    parts: Sequence[Sequence[str]]

    @property
    def score(self) -> float:
        """Mean Jaccard index of what was chosen."""
        return fmean(self.scores[self.chosen])

    def write(self, folder: Path) -> None:
        """Write into a run folder, atomically."""
        write_record(folder / CHOICE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "ModelSelection":
        """What ``write`` wrote."""
        data = read_known_record(folder / CHOICE, [f.name for f in fields(cls)])
        if data is None:
            raise CheckpointError(
                folder / CHOICE,
                found="no record, or a damaged one",
                expected="what training wrote",
                hint="move this run folder away, so that the model is trained again",
            )
        return cls(**data)


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
