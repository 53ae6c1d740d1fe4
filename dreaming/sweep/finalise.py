"""After a sweep: the best trial is written down and fitted on all references, if there is one; the search is drawn."""

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from omegaconf import DictConfig
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from dreaming.sweep.best import BEST, BestTrial, is_value
from dreaming.sweep.config import SweepConfig
from dreaming.sweep.fingerprint import ALL_MASKS, decides
from dreaming.sweep.plots import draw
from dreaming.sweep.trial import FOLDER
from dreaming.sweep.wandb_runs import log_plots, log_sync_command

log = logging.getLogger(__name__)

COMMANDS = {"train": "python train.py", "dream": "dreaming"}
GROUPS = {"train": "model", "dream": "masker"}


@dataclass(frozen=True)
class SweepResult:
    """A sweep at its end.

    Attributes:
        plan: What it was.
        study: Its study.
        searched: Names of the searched values.
        fixed: Overrides that all trials share, by name.
        others: Overrides of another form that all trials share.
        config: The config of the sweep itself, Hydra's part among it.
    """

    plan: SweepConfig
    study: Study
    searched: Sequence[str]
    fixed: Mapping[str, Any]
    others: Sequence[str]
    config: DictConfig


def finalise(sweep: SweepResult, launch: Callable[[list[list[str]]], list[JobReturn]]) -> None:
    """Make use of what a sweep found.

    Args:
        sweep: The sweep.
        launch: Runs one job for each list of overrides.
    """
    trial = best_of(sweep.study)
    if trial is None:
        log.warning("sweep %s: no trial came to its end", sweep.plan.name)
    best = None if trial is None else _use(sweep, trial, launch)
    pictures = draw(sweep.study, sweep.plan.folder)
    log_plots(sweep.config, sweep.plan, best, pictures)
    log_sync_command(Path(str(sweep.config.clip)), sweep.plan, sweep.study)


def _use(sweep: SweepResult, trial: FrozenTrial, launch: Callable[[list[list[str]]], list[JobReturn]]) -> BestTrial:
    """Fit the best trial on all references, write it down, and say how to do so again."""
    program = str(sweep.config.hydra.job.name)
    best = to_best_trial(sweep, trial, program)
    log.info("sweep %s: best is trial %d, %.4f", best.sweep, best.trial, best.value)
    if program == "train":
        (job,) = launch([[*_overrides(sweep, trial), *sweep.others, f"sweep.refit={_quoted(_folder(sweep, trial))}"]])
        _ = job.return_value  # raises what the job raised
    # Not before: what is written is used from then on, and a fit that fails leaves nothing to be used with it.
    best.write(sweep.plan.folder)
    log.info("sweep %s: kept in %s", best.sweep, sweep.plan.folder / BEST)
    log.info("the same again: %s", best.command)
    return best


def best_of(study: Study) -> FrozenTrial | None:
    """The best trial that was not pruned; of a Pareto front, the one that is best at the first objective."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = 1 if study.directions[0].name == "MAXIMIZE" else -1
    return max(trials, key=lambda trial: sign * trial.values[0], default=None)


def to_best_trial(sweep: SweepResult, trial: FrozenTrial, program: str) -> BestTrial:
    """A trial with all that decides what it is, whoever set it: the sweep, its file, or the command line."""
    group = GROUPS[program]
    texts = [*_overrides(sweep, trial), *sweep.others]
    deciding = [text for text in texts if decides(text, group)]
    settings = tuple(text for text in deciding if is_value(text))
    choices = tuple(text for text in deciding if not is_value(text))
    selecting = [f"{group}={sweep.plan.component}", *(text for text in texts if text.startswith(("clip=", ALL_MASKS)))]
    stages = ["stages=[mask]"] if program == "dream" else []
    command = shlex.join([*COMMANDS[program].split(), *selecting, *stages, *choices, *settings])
    return BestTrial(sweep.plan.name, sweep.plan.component, trial.number, trial.values[0], settings, command, choices)


def _overrides(sweep: SweepResult, trial: FrozenTrial) -> list[str]:
    values = {**sweep.fixed, **{name: trial.params[name] for name in sweep.searched if name in trial.params}}
    return [f"{name}={value}" for name, value in values.items()]


def _folder(sweep: SweepResult, trial: FrozenTrial) -> Path:
    return Path(str(sweep.config.clip)) / str(trial.user_attrs[FOLDER])


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("\\", "\\\\").replace("'", "\\'") + "'"
