"""The study in its database: open it, send heartbeats, count trials, and repair it after a sweep was killed."""

import logging
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
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
from dreaming.io.atomic import refuse_links
from dreaming.sweep.config import SweepConfig

log = logging.getLogger(__name__)

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)

SQLITE_TIMEOUT = 60
"""Seconds to wait for another process that writes to the same SQLite file."""

OPEN_ATTEMPTS = 20
"""Attempts to open a new database while other processes create its tables."""

RETRY_OF = "retry_of"
"""User attribute: number of the lost trial whose values this trial repeats."""

HAS_HEARTBEAT = "has_heartbeat"
"""User attribute: true for a trial with a heartbeat. Only such a trial is recognised as lost when they stop."""

SURPLUS = "surplus"
"""User attribute: true for a surplus trial, released because other processes run enough trials."""

FIRST_HEARTBEAT_TIMEOUT = 2.0
"""Seconds to wait for the first heartbeat of a new trial."""

MAX_RETRIES = 2
"""Retries of lost values. Without a limit, a trial that kills its process would block the sweep for ever."""


def open_storage(sweep_config: SweepConfig) -> RDBStorage:
    """Open the database, or create it; ``ConfigError`` if it cannot be reached or its driver is not installed."""
    attempts = 0
    while True:
        attempts += 1
        try:
            return _connect(sweep_config)
        except (SQLAlchemyError, ImportError, RuntimeError) as error:
            if attempts < OPEN_ATTEMPTS and (isinstance(error, IntegrityError) or "already exists" in str(error)):
                time.sleep(0.1)  # another process created the tables meanwhile
                continue
            raise ConfigError(
                "sweep.storage",
                found=" ".join(str(error).split())[:200].rstrip("."),
                expected="the URL of a database that can be reached, such as postgresql://user@host/name",
                hint="start the server, or install its driver (psycopg, mysqlclient)",
            ) from error


def _connect(sweep_config: SweepConfig) -> RDBStorage:
    url = make_url(sweep_config.storage)
    options = {}
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        refuse_links(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() and url.database != ":memory:":
            path.touch()  # by the umask; SQLite's own permissions allow no group to write
        _check_database(path)
        options = {"connect_args": {"timeout": SQLITE_TIMEOUT}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return RDBStorage(
            sweep_config.storage,
            engine_kwargs=options,
            heartbeat_interval=sweep_config.heartbeat,
            grace_period=3 * sweep_config.heartbeat,
            heartbeat_stale_trial_callback=_retry,
        )


def _check_database(path: Path) -> None:
    """Refuse a damaged SQLite file, which would fail somewhere in the sweep."""
    with closing(sqlite3.connect(path, timeout=SQLITE_TIMEOUT)) as database:
        try:
            ((found, *_), *_) = database.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.OperationalError:  # locked by another process, or a problem that is reported below
            return
        except sqlite3.DatabaseError as error:
            found = str(error)
    if found != "ok":
        raise ConfigError(
            "sweep.storage",
            found=f"the damaged file {path} ({found})",
            expected="the SQLite database of a sweep",
            hint="move it elsewhere to begin the sweep again, or set sweep.name=ANOTHER",
        )


def open_study(sweep_config: SweepConfig, sampler: BaseSampler | None = None) -> Study:
    """Open the sweep's study; with a sampler, create it if it does not exist.

    Raises:
        ConfigError: If the study has other objectives.
    """
    storage = open_storage(sweep_config)
    # Optuna logs each new study and trial in colour; the sweep logs them itself.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = sweep_config.pruner or optuna.pruners.NopPruner()
    if sampler is None:
        # A job only reads its trial's values, so the sampler does not matter.
        return optuna.load_study(
            study_name=sweep_config.name, storage=storage, sampler=optuna.samplers.RandomSampler(), pruner=pruner
        )
    study = optuna.create_study(
        study_name=sweep_config.name,
        storage=storage,
        sampler=sampler,
        pruner=pruner,
        directions=sweep_config.directions,
        load_if_exists=True,
    )
    directions = [direction.name.lower() for direction in study.directions]
    if directions != sweep_config.directions:
        raise ConfigError(
            f"sweep {sweep_config.name}",
            found=f"a study with the directions {', '.join(directions)}",
            expected=", ".join(sweep_config.directions),
            hint="set sweep.name=ANOTHER to start a new sweep",
        )
    return study


def check_space(study: Study, space: dict[str, BaseDistribution]) -> None:
    """Refuse to resume a study with another search space.

    Raises:
        ConfigError: If a searched value has an incompatible distribution in an earlier trial.
    """
    for trial in study.get_trials(deepcopy=False):
        for name, earlier in trial.distributions.items():
            try:
                check_distribution_compatibility(earlier, space[name])
            except (ValueError, KeyError):
                raise ConfigError(
                    name,
                    found=f"{space.get(name, 'nothing')} in the search space",
                    expected=f"{earlier}, as in earlier trials of sweep {study.study_name}",
                    hint="restore it, or set sweep.name=ANOTHER to start a new sweep",
                ) from None


def count_finished(study: Study) -> int:
    """Number of complete and pruned trials."""
    return len(study.get_trials(deepcopy=False, states=FINISHED))


def count_running(study: Study) -> int:
    """Number of running trials with a heartbeat; after ``retry_lost`` the processes of all of them run."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    # A trial whose process was killed before the first heartbeat never ends.
    return sum(bool(trial.user_attrs.get(HAS_HEARTBEAT)) for trial in trials)


def ask(study: Study, count: int) -> list[Trial]:
    """Ask for new trials, queued ones first, and record the first heartbeat of each."""
    trials, storage = [], _storage(study)
    with warnings.catch_warnings():
        # Optuna warns that it sends no heartbeats for trials that it does not run itself.
        warnings.filterwarnings("ignore", message="Heartbeat of storage")
        for _ in range(count):
            trials.append(study.ask())
            storage.record_heartbeat(trials[-1]._trial_id)
            trials[-1].set_user_attr(HAS_HEARTBEAT, True)
    return trials


def release_surplus(study: Study, asked: Sequence[Trial], total: int) -> list[Trial]:
    """Fail those new trials that exceed the total because other processes asked at the same time; return the rest.

    No lock is needed: the database numbers the trials, so all processes agree on their order. ``total`` is the number
    of finished trials that the sweep ends with.
    """
    deadline = time.monotonic() + FIRST_HEARTBEAT_TIMEOUT
    while True:
        trials, timed_out = study.get_trials(deepcopy=False), time.monotonic() > deadline
        missing = total - sum(trial.state in FINISHED for trial in trials)
        claims = [trial for trial in trials if trial.state in (TrialState.RUNNING, TrialState.WAITING)]
        silent = {
            trial.number
            for trial in claims
            if trial.state is TrialState.RUNNING and HAS_HEARTBEAT not in trial.user_attrs
        }
        # A trial whose process was killed before its first heartbeat does not count.
        numbers = [trial.number for trial in claims if not (timed_out and trial.number in silent)]
        first = numbers[: max(0, missing)]
        surplus = [trial for trial in asked if trial.number not in first]
        if not surplus or timed_out or not silent:
            break
        time.sleep(0.1)
    for trial in surplus:
        trial.set_user_attr(SURPLUS, value=True)
        study.tell(trial, state=TrialState.FAIL)
        log.debug("sweep %s: trial %d released, other processes run enough", study.study_name, trial.number)
    return [trial for trial in asked if trial not in surplus]


def _storage(study: Study) -> Any:
    """Optuna's cache around the RDBStorage, with the same methods."""
    return study._storage


def retry_lost(study: Study) -> None:
    """Fail the trials of any machine whose heartbeats stopped, and queue their values again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(study)


def requeue(study: Study, trials: Sequence[Trial]) -> None:
    """Fail trials whose jobs were interrupted, and queue their values again."""
    for trial in trials:
        frozen = study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        if frozen.state is TrialState.FAIL:
            _retry(study, frozen)


def _retry(study: Study, trial: FrozenTrial) -> None:
    attempts = _count_attempts(study, trial)
    if attempts > MAX_RETRIES:
        log.warning("sweep %s: trial %d was lost; %d attempts failed", study.study_name, trial.number, attempts)
        return
    log.warning("sweep %s: trial %d was lost; its values are queued again", study.study_name, trial.number)
    study.enqueue_trial(trial.params, user_attrs={RETRY_OF: trial.number})


def _count_attempts(study: Study, trial: FrozenTrial) -> int:
    """Number of trials with this trial's values, including itself."""
    trials = study.get_trials(deepcopy=False)
    count = 1
    while RETRY_OF in trial.user_attrs:
        trial, count = trials[trial.user_attrs[RETRY_OF]], count + 1
    return count


@contextmanager
def heartbeat(study: Study, trials: Sequence[Trial], interval: int) -> Iterator[None]:
    """Send heartbeats for running trials while a block runs, every ``interval`` seconds.

    The sweep sends them and not the jobs, because only the sweep can store a result. A job that waits in a cluster's
    queue therefore counts as running.
    """
    storage, ended = _storage(study), threading.Event()

    def beat() -> None:
        while True:
            for trial in trials:
                try:
                    storage.record_heartbeat(trial._trial_id)
                except Exception as error:
                    log.warning("trial %d: the heartbeat could not be stored: %s", trial.number, error)
            if ended.wait(interval):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
