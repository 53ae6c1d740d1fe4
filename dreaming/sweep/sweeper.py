"""Hydra's Optuna sweeper with resumption: it runs until ``n_trials`` trials are finished, and it supports pruning.

It depends on these parts of hydra-optuna-sweeper 1.4.0rc3, which ``tests/sweep/test_compatibility.py`` checks: the
constructor's arguments, ``setup``, ``create_params_from_overrides``, ``_configure_trials``,
``_parse_sweeper_params_config`` and ``_to_grid_sampler_choices`` of ``OptunaSweeperImpl``, and that a job receives a
trial's parameters as overrides ``name=value``.
"""

import functools
import importlib.util
import logging
import time
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl, create_params_from_overrides
from hydra_plugins.hydra_optuna_sweeper.optuna_sweeper import OptunaSweeper
from joblib import effective_n_jobs
from omegaconf import DictConfig
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GridSampler
from optuna.study import Study
from optuna.trial import Trial, TrialState

from dreaming.errors import ConfigError, DreamingError
from dreaming.sweep.cma_state import secure
from dreaming.sweep.config import SweepConfig
from dreaming.sweep.finalise import GROUPS, SweepResult, finalise
from dreaming.sweep.fingerprint import check_description, describe_study
from dreaming.sweep.study import (
    ask,
    check_space,
    count_finished,
    count_running,
    heartbeat,
    open_study,
    release_surplus,
    requeue,
    retry_lost,
)
from dreaming.sweep.trial import DIVERGED, PRUNED

log = logging.getLogger(__name__)


class StudySweeper(OptunaSweeper):
    """The plugin class that ``conf/hydra/sweeper/study.yaml`` names."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.sweeper: OptunaSweeperImpl = _ResumableSweeper(**{**config, "sampler": self.sweeper.sampler})


class _ResumableSweeper(OptunaSweeperImpl):
    """The sweep itself: batches of as many jobs as the launcher runs at once, until enough trials are finished."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Instantiate the launcher and the sweep's settings from the config."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.n_jobs = effective_n_jobs(self.n_jobs)
        self.sweep_config: SweepConfig = instantiate(config.sweep, _convert_="all")

    def sweep(self, arguments: list[str]) -> None:
        """Run the missing trials, then fit and record the best one.

        Raises:
            ConfigError: If the search space is empty, the study has another search space or another clip, the sampler's
                package is not installed, or too many trials fail in a row.
        """
        self._process_searchspace_config()
        space, fixed, others = create_params_from_overrides([*self._parse_sweeper_params_config(), *arguments])
        space = {name: distribution for name, distribution in space.items() if name not in fixed}
        if not space:
            raise ConfigError(
                "hydra.sweeper.params",
                found="an empty search space",
                expected="a range or several choices",
                hint="name a sweep with sweep=NAME, or add model.unet.module.lr=interval(1e-4,1e-1)",
            )
        _check_installed(self.sampler)
        assert self.config is not None
        study = open_study(self.sweep_config, self._create_sampler(space))
        check_space(study, space)
        shared = [*(f"{name}={value}" for name, value in fixed.items()), *others]
        group = GROUPS[str(self.config.hydra.job.name)]
        description = describe_study(self.sweep_config, Path(str(self.config.clip)), shared, group)
        check_description(study, self.sweep_config, description)
        if study.get_trials(deepcopy=False):
            log.info(
                "sweep %s: resumed, %d of %d trials are finished",
                self.sweep_config.name, count_finished(study), self.n_trials,
            )  # fmt: skip
        self._run(study, space, fixed, others)
        finalise(SweepResult(self.sweep_config, study, list(space), fixed, others, self.config), self._launch)

    def _create_sampler(self, space: dict[str, BaseDistribution]) -> BaseSampler:
        if isinstance(self.sampler, functools.partial) and self.sampler.func is GridSampler:
            return self.sampler({name: self._choices(name, distribution) for name, distribution in space.items()})
        if isinstance(self.sampler, CmaEsSampler):
            secure(self.sampler)
        return self.sampler

    def _choices(self, name: str, distribution: BaseDistribution) -> Any:
        try:
            return self._to_grid_sampler_choices(distribution)
        except ValueError:
            raise ConfigError(
                name,
                found="an interval",
                expected="choices or a range, because a grid tries every value",
                hint=f"set {name}=choice(...), or choose another sampler",
            ) from None

    def _run(self, study: Study, space: dict[str, BaseDistribution], fixed: dict[str, Any], others: list[str]) -> None:
        name, failures, waiting, started = self.sweep_config.name, 0, False, False
        while count_finished(study) < self.n_trials and not _is_exhausted(study):
            retry_lost(study)
            # Counted before the finished ones: a trial that ends in between is counted twice rather than never.
            running = count_running(study)
            unclaimed = self.n_trials - count_finished(study) - running
            if unclaimed <= 0:
                if not waiting:
                    log.info("sweep %s: waiting for %d trials of other processes", name, running)
                waiting = True
                time.sleep(self.sweep_config.heartbeat)
                continue
            trials = release_surplus(study, ask(study, min(unclaimed, self.n_jobs)), self.n_trials)
            if not trials:
                continue
            if not started and trials[0].number > 0:
                # Without a new seed it would draw the first trials again, here or on another machine.
                study.sampler.reseed_rng()
            started = True
            try:
                with heartbeat(study, trials, self.sweep_config.heartbeat):
                    overrides = self._configure_trials(trials, space, fixed, others)
                    # A job has the number of its trial, also after the sweep is resumed.
                    numbered = [
                        [*of_trial, f"hydra.sweep.subdir={trial.number}"]
                        for of_trial, trial in zip(overrides, trials, strict=True)
                    ]
                    self.job_idx = trials[0].number
                    returns = self._launch(numbered)
            except BaseException:
                requeue(study, trials)
                raise
            for trial, job in zip(trials, returns, strict=True):
                error = _store_result(study, trial, job)
                failures = 0 if error is None else failures + 1
            if error is not None and failures >= self.sweep_config.max_failures:
                raise self._too_many_failures(failures, count_finished(study), error)
            log.info("sweep %s: %s", name, _summarise(study, self.n_trials))

    def _too_many_failures(self, failures: int, finished: int, error: Exception) -> ConfigError:
        """The error that ends a sweep; a sampler ignores failed trials, and may draw such values for ever."""
        reason = str(error) if isinstance(error, DreamingError) else f"{type(error).__name__}: {error}"
        return ConfigError(
            f"sweep {self.sweep_config.name}",
            found=f"{failures} failed trials in a row, the last with `{reason.rstrip('.')}`",
            expected=f"trials without errors, such as the {finished} of {self.n_trials} that are finished",
            hint="correct the cause, narrow the search or raise sweep.max_failures=, and start the sweep again",
        )

    def _launch(self, overrides: list[list[str]]) -> list[JobReturn]:
        assert self.launcher is not None
        returns = list(self.launcher.launch(overrides, initial_job_idx=self.job_idx))
        self.job_idx += len(returns)
        return returns


def _check_installed(sampler: BaseSampler) -> None:
    """Refuse a sampler without its package early; Optuna would fail only after its random start-up trials."""
    if isinstance(sampler, CmaEsSampler) and importlib.util.find_spec("cmaes") is None:
        raise ConfigError(
            "hydra/sweeper/sampler=cmaes",
            found="no package cmaes",
            expected="an installed package",
            hint="run pip install 'dreaming[sweep]', or choose another sampler such as gp",
        )


def _is_exhausted(study: Study) -> bool:
    return isinstance(study.sampler, GridSampler) and bool(study.sampler.is_exhausted(study))


def _store_result(study: Study, trial: Trial, job: JobReturn) -> Exception | None:
    """Store a job's result in the study; return the error of a job that failed."""
    attributes = study.get_trials(deepcopy=False)[trial.number].user_attrs
    try:
        value = job.return_value
        if attributes.get(PRUNED):
            study.tell(trial, state=TrialState.PRUNED)
        else:
            values = list(value) if isinstance(value, tuple | list) else [float(value)]
            # With an explicit state NaN raises an error; without one Optuna would fail the trial silently.
            study.tell(trial, values=values, state=TrialState.COMPLETE)
    except RuntimeError as error:
        # At the end of a grid the sampler stops the study, which Optuna forbids outside its own loop; the result is
        # stored by then.
        if not (isinstance(study.sampler, GridSampler) and "`Study.stop` is supposed to be" in str(error)):
            return _store_failure(study, trial, error)
    except Exception as error:  # `return_value` raises whatever the job raised
        return _store_failure(study, trial, error)
    return None


def _store_failure(study: Study, trial: Trial, error: Exception) -> Exception:
    study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
    log.warning("trial %d failed: %s", trial.number, error)
    return error


def _summarise(study: Study, total: int) -> str:
    """The progress of a sweep in a few words."""
    trials = study.get_trials(deepcopy=False)
    pruned = sum(trial.state is TrialState.PRUNED for trial in trials)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    diverged = sum(bool(trial.user_attrs.get(DIVERGED)) for trial in trials)
    words = f"{len(complete) + pruned} of {total} trials, {pruned - diverged} pruned"
    words += f", {diverged} diverged" if diverged else ""
    if complete and len(study.directions) == 1:
        words += f"; best {study.best_value:.4f} (trial {study.best_trial.number})"
    return words
