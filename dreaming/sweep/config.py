"""What a sweep is, beyond the search space and the sampler that Hydra's own sweeper holds."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from optuna.pruners import BasePruner, NopPruner

from dreaming.errors import ConfigError


@dataclass(frozen=True)
class SweepConfig:
    """The node ``sweep`` of the config.

    Attributes:
        name: The sweep's name: of its study, its folder ``sweeps/<name>/`` and its group in W&B.
        component: The model or masker whose values are searched.
        folder: Where best trial and pictures go.
        storage: URL of the database that holds the study.
        pruner: Decides which trials are hopeless; None for not.
        heartbeat: Seconds between the signs of life of running trials; after three times as long one counts as lost.
        max_failures: Failed trials in a row after which the sweep ends.
        objectives: What is optimised: the ``score`` on unseen masks or pixels, and the ``seconds`` a frame takes.
        refit: Run folder of the best trial, given by the sweep itself to its last job.
    """

    name: str
    component: str
    folder: Path
    storage: str
    pruner: BasePruner | None = None
    heartbeat: int = 10
    max_failures: int = 10
    objectives: tuple[Literal["score", "seconds"], ...] = ("score",)
    refit: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        object.__setattr__(self, "refit", None if self.refit is None else Path(self.refit))
        object.__setattr__(self, "objectives", tuple(self.objectives))
        if not re.fullmatch(r"\w[\w.+-]*", self.name):
            raise ConfigError(
                "sweep.name", found=repr(self.name), expected="a plain name", hint="use letters, digits and - only"
            )
        if self.heartbeat < 1:
            raise ConfigError(
                "sweep.heartbeat", found=str(self.heartbeat), expected="1 or more seconds", hint="correct the value"
            )
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ConfigError(
                "sweep.objectives",
                found=str(list(self.objectives)),
                expected="score, seconds or both, each once",
                hint="say sweep.objectives=[score,seconds]",
            )
        if not isinstance(self.pruner, NopPruner | None) and len(self.objectives) > 1:
            raise ConfigError(
                "sweep.pruner",
                found="a pruner and two objectives",
                expected="one objective for a pruner to compare",
                hint="say sweep/pruner=none",
            )

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        """Optuna's word for each objective."""
        return ["maximize" if objective == "score" else "minimize" for objective in self.objectives]
