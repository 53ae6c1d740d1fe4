"""The end of a sweep: fit the best trial on all training frames, record it, and plot the search."""

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from omegaconf import DictConfig
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from dreaming.sweep.best import BEST, BestTrial, is_value
from dreaming.sweep.config import SweepConfig
from dreaming.sweep.fingerprint import MASK_STAGE, affects_result
from dreaming.sweep.override_text import to_text
from dreaming.sweep.plots import draw_plots
from dreaming.sweep.trial import FOLDER
from dreaming.sweep.wandb_runs import log_plots, log_sync_command

log = logging.getLogger(__name__)

COMMANDS = {"train": "python train.py", "dream": "dreaming"}
GROUPS = {"train": "model", "dream": "masker"}
"""The command of each program, by Hydra's name of its job."""

Launch = Callable[[list[list[str]]], list[JobReturn]]
"""Runs one job for each list of overrides."""


@dataclass(frozen=True)
class SweepResult:
    """A sweep with all its trials finished; ``others`` are shared overrides such as ``~guide.edges``."""

    sweep_config: SweepConfig
    study: Study
    searched: Sequence[str]
    fixed: Mapping[str, Any]
    others: Sequence[str]
    config: DictConfig


def finalise(result: SweepResult, launch: Launch) -> None:
    """Fit and record the best trial, if there is one, and plot the search."""
    trial = find_best(result.study)
    best = None
    if trial is None:
        log.warning("sweep %s: no trial was completed", result.sweep_config.name)
    else:
        best = _refit(result, trial, launch)
    plots = draw_plots(result.study, result.sweep_config.folder)
    log_plots(result.config, result.sweep_config, best, plots)
    log_sync_command(Path(str(result.config.clip)), result.sweep_config, result.study)


def _refit(result: SweepResult, trial: FrozenTrial, launch: Launch) -> BestTrial:
    """Fit the best trial on all training frames, then record it."""
    program = str(result.config.hydra.job.name)
    best = to_best_trial(result, trial, program)
    if program == "train":
        refit = f"sweep.refit={to_text(str(_run_folder(result, trial)))}"
        (job,) = launch([[*_values(result, trial), *result.others, refit, "hydra.sweep.subdir=refit"]])
        _ = job.return_value  # raises what the job raised
    # The record is written after the fit, because later runs that use it need its weights.
    best.write(result.sweep_config.folder)
    log.info(
        "sweep %s: the best is trial %d (%.4f), recorded in %s; command: %s",
        best.sweep, best.trial, best.value, result.sweep_config.folder / BEST, best.command,
    )  # fmt: skip
    return best


def find_best(study: Study) -> FrozenTrial | None:
    """The best completed trial; with two objectives the best one at the first of them."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = 1 if study.directions[0].name == "MAXIMIZE" else -1
    return max(trials, key=lambda trial: sign * trial.values[0], default=None)


def to_best_trial(result: SweepResult, trial: FrozenTrial, program: str) -> BestTrial:
    """The record of a trial: every override that affects its result, from the sweep, its file or the command line."""
    group, sweep_config = GROUPS[program], result.sweep_config
    texts = [*_values(result, trial), *result.others]
    overrides = [text for text in texts if affects_result(text, group)]
    values = tuple(text for text in overrides if is_value(text))
    choices = tuple(text for text in overrides if not is_value(text))
    command = [*COMMANDS[program].split(), f"{group}={sweep_config.component}"]
    context = [text for text in texts if text.startswith(("clip=", MASK_STAGE))]
    stages = ["stages=[mask]"] if program == "dream" else []
    return BestTrial(
        sweep=sweep_config.name,
        component=sweep_config.component,
        trial=trial.number,
        value=trial.values[0],
        overrides=values,
        command=shlex.join([*command, *context, *stages, *choices, *values]),
        choices=choices,
        finished_at=datetime.now(UTC).isoformat(),
    )


def _values(result: SweepResult, trial: FrozenTrial) -> list[str]:
    searched = {name: trial.params[name] for name in result.searched if name in trial.params}
    return [f"{name}={value}" for name, value in {**result.fixed, **searched}.items()]


def _run_folder(result: SweepResult, trial: FrozenTrial) -> Path:
    return Path(str(result.config.clip)) / str(trial.user_attrs[FOLDER])
