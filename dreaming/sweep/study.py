"""The study in its database: opened, kept alive, counted, and mended after a sweep that was killed."""

import logging
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from dreaming.errors import ConfigError
from dreaming.sweep.config import SweepConfig

log = logging.getLogger(__name__)

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)

SQLITE_PATIENCE = 60
"""Seconds to wait for another process that writes to the same file."""

TRIES = 20
"""Times that a new database is opened while others make its tables, too."""

RETRY_OF = "retry_of"
"""User attribute: number of the lost trial that this one repeats."""

BEGUN = "begun"
"""User attribute: true for a trial that has given a sign of life, and so is found out if it gives no more."""

SURPLUS = "surplus"
"""User attribute: true for a trial that was given back, because others had begun enough at the same time."""

HESITATION = 2.0
"""Seconds to wait for the first sign of life of a trial that was begun just now."""

RETRIES = 2
"""Times that lost values are tried again: a trial that ends its process each time would hold up the sweep for ever."""


def open_storage(plan: SweepConfig) -> RDBStorage:
    """The database, made if it is a file that is not there yet.

    Raises:
        ConfigError: If it cannot be reached, or its driver is not installed.
    """
    tries = 0
    while True:
        tries += 1
        try:
            return _storage_at(plan)
        except (SQLAlchemyError, ImportError, RuntimeError) as error:
            if tries < TRIES and (isinstance(error, IntegrityError) or "already exists" in str(error)):
                time.sleep(0.1)  # another machine made the tables in between
                continue
            raise ConfigError(
                "sweep.storage",
                found=" ".join(str(error).split())[:200].rstrip("."),
                expected="the URL of a database that can be reached, such as postgresql://user@host/name",
                hint="correct it, start the server or install its driver (psycopg, mysqlclient)",
            ) from error


def _storage_at(plan: SweepConfig) -> RDBStorage:
    url = make_url(plan.storage)
    options = {}
    if url.get_backend_name() == "sqlite":
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
        options = {"connect_args": {"timeout": SQLITE_PATIENCE}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return RDBStorage(
            plan.storage,
            engine_kwargs=options,
            heartbeat_interval=plan.heartbeat,
            grace_period=3 * plan.heartbeat,
            heartbeat_stale_trial_callback=_retry,
        )


def open_study(plan: SweepConfig, sampler: BaseSampler | None = None) -> Study:
    """The sweep's study; with a sampler it is made if it is not there yet.

    Raises:
        ConfigError: If it was begun with other objectives.
    """
    storage = open_storage(plan)
    # Optuna tells a new study and each trial by itself, in colours; the sweep has lines of its own.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = plan.pruner or optuna.pruners.NopPruner()
    if sampler is None:
        # Parameters are there already; any sampler that samples nothing will do.
        return optuna.load_study(
            study_name=plan.name, storage=storage, sampler=optuna.samplers.RandomSampler(), pruner=pruner
        )
    study = optuna.create_study(
        study_name=plan.name,
        storage=storage,
        sampler=sampler,
        pruner=pruner,
        directions=plan.directions,
        load_if_exists=True,
    )
    begun = [direction.name.lower() for direction in study.directions]
    if begun != plan.directions:
        raise ConfigError(
            f"sweep {plan.name}",
            found=f"a study that is to {' and '.join(begun)}",
            expected=" and ".join(plan.directions),
            hint="say sweep.name=ANOTHER to begin a new one",
        )
    return study


def check_space(study: Study, space: dict[str, BaseDistribution]) -> None:
    """Refuse to continue a study in another search space.

    Raises:
        ConfigError: If a value is searched otherwise than in the trials that are there.
    """
    for trial in study.get_trials(deepcopy=False):
        for name, before in trial.distributions.items():
            try:
                check_distribution_compatibility(before, space[name])
            except (ValueError, KeyError):
                raise ConfigError(
                    name,
                    found=f"{space.get(name, 'no search')} in the search space",
                    expected=f"{before}, as sweep {study.study_name} was begun with",
                    hint="set it as it was, or say sweep.name=ANOTHER to begin a new one",
                ) from None


def finished(study: Study) -> int:
    """Trials that came to their end, pruned ones among them."""
    return len(study.get_trials(deepcopy=False, states=FINISHED))


def running(study: Study) -> int:
    """Trials that others run; after ``retry_lost`` all of them gave a sign of life not long ago."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    # One whose process was killed before the first sign would be waited for in vain.
    return sum(bool(trial.user_attrs.get(BEGUN)) for trial in trials)


def ask(study: Study, count: int) -> list[Trial]:
    """New trials, those first that are queued; each gives its first sign of life."""
    trials, storage = [], _storage(study)
    with warnings.catch_warnings():
        # Optuna gives signs of life itself only where it runs the trials itself.
        warnings.filterwarnings("ignore", message="Heartbeat of storage")
        for _ in range(count):
            trials.append(study.ask())
            storage.record_heartbeat(trials[-1]._trial_id)
            trials[-1].set_user_attr(BEGUN, True)
    return trials


def release_surplus(study: Study, asked: Sequence[Trial], total: int) -> list[Trial]:
    """Fail those new trials that others, who asked at the same time, leave no room for; return the rest.

    It needs no lock: the database numbers the trials, so that all agree on who came first.

    Args:
        study: The study.
        asked: The new trials.
        total: Finished trials that are wanted in all.
    """
    deadline = time.monotonic() + HESITATION
    while True:
        trials, late = study.get_trials(deepcopy=False), time.monotonic() > deadline
        left = total - sum(trial.state in FINISHED for trial in trials)
        claims = [trial for trial in trials if trial.state in (TrialState.RUNNING, TrialState.WAITING)]
        hesitant = {
            trial.number for trial in claims if trial.state is TrialState.RUNNING and BEGUN not in trial.user_attrs
        }
        # One whose process was killed before its first sign of life claims nothing.
        numbers = [trial.number for trial in claims if not (late and trial.number in hesitant)]
        first = numbers[: max(0, left)]
        surplus = [trial for trial in asked if trial.number not in first]
        if not surplus or late or not hesitant:
            break
        time.sleep(0.1)
    for trial in surplus:
        trial.set_user_attr(SURPLUS, value=True)
        study.tell(trial, state=TrialState.FAIL)
        log.info("sweep %s: trial %d is given back, for others began enough", study.study_name, trial.number)
    return [trial for trial in asked if trial not in surplus]


def _storage(study: Study) -> Any:
    """The cache around the RDBStorage that was opened; it has what that has."""
    return study._storage


def retry_lost(study: Study) -> None:
    """Fail the trials that gave no sign of life for long, on this machine or another, and queue their values anew."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(study)


def requeue(study: Study, trials: Sequence[Trial]) -> None:
    """Fail trials whose jobs were interrupted, and queue their values anew."""
    for trial in trials:
        frozen = study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        if frozen.state is TrialState.FAIL:
            _retry(study, frozen)


def _retry(study: Study, trial: FrozenTrial) -> None:
    if _attempts(study, trial) > RETRIES:
        log.warning(
            "sweep %s: trial %d was lost, as %d before it of the same values; they are not tried again",
            study.study_name, trial.number, RETRIES,
        )  # fmt: skip
        return
    log.warning("sweep %s: trial %d was lost; its values are tried again", study.study_name, trial.number)
    study.enqueue_trial(trial.params, user_attrs={RETRY_OF: trial.number})


def _attempts(study: Study, trial: FrozenTrial) -> int:
    """How often a trial's values were tried, itself among them."""
    trials = study.get_trials(deepcopy=False)
    count = 1
    while RETRY_OF in trial.user_attrs:
        trial, count = trials[trial.user_attrs[RETRY_OF]], count + 1
    return count


@contextmanager
def heartbeat(study: Study, trials: Sequence[Trial], interval: int) -> Iterator[None]:
    """Give signs of life for running trials while a block runs.

    Whoever tells the result lives as long as the trial is worth waiting for; so it is the sweep that gives the signs,
    and a job that waits in a cluster's queue counts as alive.
    """
    storage, ended = _storage(study), threading.Event()

    def beat() -> None:
        while True:
            for trial in trials:
                try:
                    storage.record_heartbeat(trial._trial_id)
                except Exception as error:
                    log.warning("no sign of life of trial %d could be given: %s", trial.number, error)
            if ended.wait(interval):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
