"""A job finds out which trial of the study it is."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from dreaming.clip.clip import Clip
from dreaming.errors import ConfigError
from dreaming.sweep.config import SweepConfig
from dreaming.sweep.study import open_study

FOLDER = "folder"
"""User attribute: the run folder of the job that claimed the trial, relative to the clip where it lies in it."""

SECONDS = "seconds"
"""User attribute: wall time of the job; the study's own times count until the whole batch is told."""

PRUNED = "pruned"
"""User attribute: true for a trial that the pruner stopped."""

REACHED = "best"
"""User attribute of such a trial: the best value that it had; Optuna itself keeps the last."""


def claim_trial(plan: SweepConfig, overrides: Sequence[str], clip: Clip, folder: Path) -> Trial:
    """Find this job's own trial in the shared study by its parameters, and claim it.

    The sweeper hands a trial's parameters to its job as overrides ``name=value`` and says nothing else of it. Of
    several running trials of the same parameters each job claims another one.

    Args:
        plan: The sweep.
        overrides: Of this job.
        clip: The clip that is swept on.
        folder: This job's run folder.

    Raises:
        ConfigError: If no running trial has these parameters.
    """
    study = open_study(plan)
    with clip.lock(f"sweep-{plan.name}", f"sweep {plan.name}: waiting for another job that begins"):
        own = _matching(study, set(overrides))
        if own is None:
            raise ConfigError(
                f"sweep {plan.name}",
                found="no running trial with this job's values",
                expected="a job begun by the sweep itself",
                hint="say -m to begin a sweep",
            )
        trial = Trial(study, own)
        place = folder.resolve()
        inside = place.is_relative_to(clip.path.resolve())
        trial.set_user_attr(FOLDER, str(place.relative_to(clip.path.resolve()) if inside else place))
    return trial


@contextmanager
def timed(trial: Trial) -> Iterator[None]:
    """Note how long a block takes as the trial's wall time, however it ends."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        trial.set_user_attr(SECONDS, time.perf_counter() - begun)


def _matching(study: Study, overrides: set[str]) -> int | None:
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    fitting = [frozen for frozen in running if FOLDER not in frozen.user_attrs and _values(frozen) <= overrides]
    # One whose values another machine draws just now, or was killed while it did, has fewer of them, or none.
    own = max(fitting, key=lambda frozen: len(frozen.params), default=None)
    return own._trial_id if own is not None and own.params else None


def _values(frozen: FrozenTrial) -> set[str]:
    return {f"{name}={value}" for name, value in frozen.params.items()}
