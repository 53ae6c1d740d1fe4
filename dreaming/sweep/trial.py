"""The trial that a job belongs to."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError, DivergenceError
from dreaming.sweep.config import SweepConfig
from dreaming.sweep.study import open_study

log = logging.getLogger(__name__)

FOLDER = "folder"
"""User attribute: run folder of the job that claimed the trial, relative to the clip if it is inside the clip."""

SECONDS = "seconds"
"""User attribute: wall time of the job. Optuna's own duration lasts until the whole batch has ended."""

PRUNED = "pruned"
"""User attribute: true for a trial that the pruner ended."""

DIVERGED = "diverged"
"""User attribute: true for a trial whose training diverged. It counts as pruned, so the sampler avoids such values."""

BEST_VALUE = "best_value"
"""User attribute of a pruned trial: its best value. Optuna itself keeps the last one."""


def claim_trial(sweep_config: SweepConfig, overrides: Sequence[str], clip: Clip, folder: Path) -> Trial:
    """Find this job's trial in the shared study by its parameters, and claim it for its run folder.

    The sweeper passes a trial's parameters to its job as overrides ``name=value``, and nothing else. If several running
    trials have the same parameters, each job claims a different one.

    Raises:
        ConfigError: If no running trial has these parameters.
    """
    study = open_study(sweep_config)
    with clip.lock(f"sweep-{sweep_config.name}", f"sweep {sweep_config.name}: waiting for another job to start"):
        trial_id = _matching(study, set(overrides))
        if trial_id is None:
            raise ConfigError(
                f"sweep {sweep_config.name}",
                found="no running trial with the values of this job",
                expected="a job that the sweep started",
                hint="add -m to start a sweep",
            )
        trial = Trial(study, trial_id)
        path, root = folder.resolve(), clip.path.resolve()
        trial.set_user_attr(FOLDER, str(path.relative_to(root) if path.is_relative_to(root) else path))
    return trial


def mark_diverged(trial: Trial, error: DivergenceError) -> None:
    """Record that a trial diverged; the sweep goes on."""
    log.warning("trial %d: diverged: %s", trial.number, error)
    trial.set_user_attr(DIVERGED, value=True)
    trial.set_user_attr(PRUNED, value=True)


@contextmanager
def record_duration(trial: Trial) -> Iterator[None]:
    """Record the duration of a block as the trial's wall time, even if the block raises."""
    start = time.perf_counter()
    try:
        yield
    finally:
        trial.set_user_attr(SECONDS, time.perf_counter() - start)


def _matching(study: Study, overrides: set[str]) -> int | None:
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    candidates = [frozen for frozen in running if FOLDER not in frozen.user_attrs and _values(frozen) <= overrides]
    # A trial whose values another process is drawing, or was killed while drawing, has fewer of them.
    match = max(candidates, key=lambda frozen: len(frozen.params), default=None)
    return match._trial_id if match is not None and match.params else None


def _values(frozen: FrozenTrial) -> set[str]:
    return {f"{name}={value}" for name, value in frozen.params.items()}
