"""Selection of one of several candidates by a few paired scores, with the one-standard-error rule."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import get_type_hints

from dreaming.artifacts.record import read_known_record, write_record
from dreaming.errors import CheckpointError

CHOICE = "choice.json"


@dataclass(frozen=True)
class ModelSelection:
    """The selected fusion variant or single masker, and the Jaccard index of each candidate on each held-out mask.

    ``stems`` are the names of the masks' frames, ``parts`` those of the frames that were left out together. ``dropped``
    holds the gain in IoU of each masker that was too small for further fits of it.
    """

    chosen: str
    scores: Mapping[str, Sequence[float]]
    stems: Sequence[str]
    parts: Sequence[Sequence[str]]
    dropped: Mapping[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Mean Jaccard index of the selected candidate."""
        return fmean(self.scores[self.chosen])

    def write(self, folder: Path) -> None:
        """Write into a run folder, atomically."""
        write_record(folder / CHOICE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "ModelSelection":
        """Read the selection of a run folder.

        Raises:
            CheckpointError: If it is missing or damaged.
        """
        data = read_known_record(folder / CHOICE, get_type_hints(cls))
        if data is None:
            raise CheckpointError(
                folder / CHOICE,
                found="no record, or a damaged one",
                expected="the record that training writes",
                hint="move this run folder away, so that the model is trained again",
            )
        return cls(**data)


def choose(scores: Mapping[str, Sequence[float]], order: Sequence[str], tolerance: float) -> str:
    """Select the candidate with the best mean score, or a preferred one that is not clearly worse.

    The best mean of three scores is often due to chance. This is the "one standard error rule" (Breiman et al.,
    "Classification and Regression Trees", 1984, section 3.4.3), applied to paired differences. A candidate that comes
    earlier in ``order`` may be worse by ``tolerance`` standard errors of the mean difference; higher scores are better.
    """
    best = max(order, key=lambda name: fmean(scores[name]))
    for name in order:
        differences = [ours - theirs for ours, theirs in zip(scores[name], scores[best], strict=True)]
        error = stdev(differences) / sqrt(len(differences)) if len(differences) > 1 else 0.0
        if fmean(differences) >= -tolerance * error:
            return name
    raise AssertionError("the best candidate is never worse than itself")


def table(scores: Mapping[str, Sequence[float]], chosen: str) -> str:
    """Format the candidates' mean scores in one line, best first."""
    ranked = sorted(scores, key=lambda name: -fmean(scores[name]))
    return f"{chosen} selected; IoU on left-out masks: " + ", ".join(f"{n} {fmean(scores[n]):.4f}" for n in ranked)
