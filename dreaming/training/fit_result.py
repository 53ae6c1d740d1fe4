"""The record of a finished fit in its folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_type_hints

from dreaming.artifacts.record import read_known_record, write_record

FIT_RESULT = "fit.json"


@dataclass(frozen=True)
class FitResult:
    """How a fit ended.

    Attributes:
        checkpoint: Relative path of the checkpoint to use: the best one with validation, else the last one; empty after
            ``fast_dev_run``, which writes none.
        score: Best monitored value; NaN without validation.
        step: Steps at which it was reached.
        curve: Monitored value by step.
        steps: Total number of steps.
        seconds: Wall time of training.
    """

    checkpoint: str
    score: float
    step: int
    curve: Mapping[int, float]
    steps: int
    seconds: float

    def write(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_record(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "FitResult | None":
        """Read the result of a finished fit; None if the fit has not finished."""
        data = read_known_record(path, get_type_hints(cls))
        return None if data is None else cls(**data)
