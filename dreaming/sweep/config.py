"""Settings of a sweep beyond the search space and the sampler, which Hydra's Optuna sweeper holds."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from optuna.pruners import BasePruner, NopPruner

from dreaming.constraints import PositiveInt
from dreaming.errors import ParameterError


@dataclass(frozen=True)
class SweepConfig:
    """The config node ``sweep``.

    Attributes:
        name: Name of the study, of the folder ``sweeps/<name>/`` and of the group in W&B.
        component: The model or masker whose values are searched.
        folder: Folder of the best trial and the plots.
        storage: URL of the database that holds the study.
        pruner: Ends unpromising trials early; None to run each trial to its end.
        heartbeat: Seconds between two heartbeats of a running trial, which counts as lost after three times as long.
        max_failures: Failed trials in a row that end the sweep.
        objectives: What to optimise: ``score`` on held-out masks or pixels, ``seconds`` per frame.
        refit: Run folder of the best trial. The sweep sets it for its last job only.

    Raises:
        ParameterError: If the name is not a plain one, an objective is repeated or missing, or a pruner has to compare
            trials by two objectives.
    """

    name: str
    component: str
    folder: Path
    storage: str
    pruner: BasePruner | None = None
    heartbeat: PositiveInt = 10
    max_failures: PositiveInt = 10
    objectives: tuple[Literal["score", "seconds"], ...] = ("score",)
    refit: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        object.__setattr__(self, "refit", None if self.refit is None else Path(self.refit))
        object.__setattr__(self, "objectives", tuple(self.objectives))
        if not re.fullmatch(r"\w[\w.+-]*", self.name):
            raise ParameterError("name", found=repr(self.name), expected="letters, digits, `-`, `.`, `+` and `_`")
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ParameterError("objectives", found=list(self.objectives), expected="score, seconds or both")
        if not isinstance(self.pruner, NopPruner | None) and len(self.objectives) > 1:
            raise ParameterError(
                "pruner", found="a pruner and two objectives", expected="a single objective, or sweep/pruner=none"
            )

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        """The direction of each objective, as Optuna names it."""
        return ["maximize" if objective == "score" else "minimize" for objective in self.objectives]
