"""Hydra's Optuna sweeper, continued to ``n_trials`` finished trials in all, with pruned trials told as such.

What is relied on in hydra-optuna-sweeper 1.4.0rc3 (``tests/sweep/test_sweeper.py`` fails where a version differs): the
constructor's arguments, ``setup``, ``create_params_from_overrides``, ``_configure_trials``,
``_parse_sweeper_params_config`` and ``_to_grid_sampler_choices`` of ``OptunaSweeperImpl``, and that a job gets a
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
from dreaming.sweep.config import SweepConfig
from dreaming.sweep.finalise import GROUPS, SweepResult, finalise
from dreaming.sweep.fingerprint import check_description, describe_study
from dreaming.sweep.study import (
    ask,
    check_space,
    finished,
    heartbeat,
    open_study,
    release_surplus,
    requeue,
    retry_lost,
    running,
)
from dreaming.sweep.trial import PRUNED

log = logging.getLogger(__name__)

TRUSTED = ("dreaming.sweep.*", "optuna.pruners.*")


class StudySweeper(OptunaSweeper):
    """Hydra's plugin class; ``conf/hydra/sweeper/study.yaml`` names it."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.sweeper: OptunaSweeperImpl = _Continuing(**{**config, "sampler": self.sweeper.sampler})


class _Continuing(OptunaSweeperImpl):
    """The sweep itself: batches of as many jobs as the launcher runs at once, until enough trials are finished."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take the launcher from the config, and the sweep's plan."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.n_jobs = effective_n_jobs(self.n_jobs)
        self.plan: SweepConfig = instantiate(config.sweep, _convert_="all", _execution_whitelist_=TRUSTED)

    def sweep(self, arguments: list[str]) -> None:
        """Run what is missing of the trials, then make use of the best one.

        Raises:
            ConfigError: If there is nothing to search, the study was begun otherwise or on another clip, the sampler's
                package is not installed, or too many trials failed in a row.
        """
        self._process_searchspace_config()
        space, fixed, others = create_params_from_overrides([*self._parse_sweeper_params_config(), *arguments])
        space = {name: distribution for name, distribution in space.items() if name not in fixed}
        if not space:
            raise ConfigError(
                "hydra.sweeper.params",
                found="nothing to search",
                expected="a range or several choices",
                hint="name a sweep with sweep=NAME, or write model.unet.module.lr=interval(1e-4,1e-1)",
            )
        _check_installed(self.sampler)
        assert self.config is not None
        study = open_study(self.plan, self._sampler(space))
        check_space(study, space)
        shared = [*(f"{name}={value}" for name, value in fixed.items()), *others]
        group = GROUPS[str(self.config.hydra.job.name)]
        check_description(study, self.plan, describe_study(self.plan, Path(str(self.config.clip)), shared, group))
        before = finished(study)
        if study.get_trials(deepcopy=False):
            log.info("sweep %s goes on: %d of %d trials are finished", self.plan.name, before, self.n_trials)
        self._run(study, space, fixed, others)
        finalise(SweepResult(self.plan, study, list(space), fixed, others, self.config), self._launch)

    def _sampler(self, space: dict[str, BaseDistribution]) -> BaseSampler:
        if isinstance(self.sampler, functools.partial) and self.sampler.func is GridSampler:
            return self.sampler({name: self._choices(name, values) for name, values in space.items()})
        return self.sampler

    def _choices(self, name: str, values: BaseDistribution) -> Any:
        try:
            return self._to_grid_sampler_choices(values)
        except ValueError:
            raise ConfigError(
                name,
                found="an interval, which has no end of values",
                expected="choices or a range for a grid",
                hint=f"say {name}=choice(...), or choose another sampler",
            ) from None

    def _run(self, study: Study, space: dict[str, BaseDistribution], fixed: dict[str, Any], others: list[str]) -> None:
        failed, waiting, drawing = 0, False, False
        while finished(study) < self.n_trials and not _exhausted(study):
            retry_lost(study)
            taken = running(study)  # counted first: one that ends between the counts may be in both, but not in neither
            unclaimed = self.n_trials - finished(study) - taken
            if unclaimed <= 0:
                if not waiting:
                    log.info(
                        "sweep %s: waiting for trials that others run, or that were cut off just now", study.study_name
                    )
                waiting = True
                time.sleep(self.plan.heartbeat)
                continue
            trials = release_surplus(study, ask(study, min(unclaimed, self.n_jobs)), self.n_trials)
            if not trials:
                continue
            if not drawing and trials[0].number > 0:
                study.sampler.reseed_rng()  # else its draws would be those of the beginning, or another machine's
            drawing = True
            try:
                with heartbeat(study, trials, self.plan.heartbeat):
                    overrides = self._configure_trials(trials, space, fixed, others)
                    returns = self._launch([list(of_trial) for of_trial in overrides])
            except BaseException:
                requeue(study, trials)
                raise
            for trial, job in zip(trials, returns, strict=True):
                error = _tell(study, trial, job)
                failed = 0 if error is None else failed + 1
            if error is not None and failed >= self.plan.max_failures:
                raise self._ended(failed, finished(study), error)
            log.info("sweep %s: %s", self.plan.name, _standing(study, self.n_trials))

    def _ended(self, failed: int, before: int, error: Exception) -> ConfigError:
        """Why a sweep ends early: a sampler learns nothing of trials that fail, and may draw such ones for ever."""
        said = str(error) if isinstance(error, DreamingError) else f"{type(error).__name__}: {error}"
        return ConfigError(
            f"sweep {self.plan.name}",
            found=f"{failed} failed trials in a row, the last with `{said.rstrip('.')}`",
            expected=f"trials that come to their end, as {before} of {self.n_trials} did",
            hint="mend that, search less, or say a higher sweep.max_failures=, and start it again to go on",
        )

    def _launch(self, overrides: list[list[str]]) -> list[JobReturn]:
        assert self.launcher is not None
        returns = list(self.launcher.launch(overrides, initial_job_idx=self.job_idx))
        self.job_idx += len(returns)
        return returns


def _check_installed(sampler: BaseSampler) -> None:
    """Refuse a sampler whose package Optuna would miss only after the random starts."""
    if isinstance(sampler, CmaEsSampler) and importlib.util.find_spec("cmaes") is None:
        raise ConfigError(
            "hydra/sweeper/sampler=cmaes",
            found="no package cmaes",
            expected="it beside Optuna",
            hint="say pip install 'dreaming[sweep]', or choose another sampler such as gp",
        )


def _exhausted(study: Study) -> bool:
    return isinstance(study.sampler, GridSampler) and bool(study.sampler.is_exhausted(study))


def _tell(study: Study, trial: Trial, job: JobReturn) -> Exception | None:
    """Tell a job's result, or return why there is none."""
    attributes = study.get_trials(deepcopy=False)[trial.number].user_attrs
    try:
        value = job.return_value
        if attributes.get(PRUNED):
            study.tell(trial, state=TrialState.PRUNED)
        else:
            values = list(value) if isinstance(value, tuple | list) else [float(value)]
            # With the state said, what is no number is an error; else Optuna would fail the trial without a word.
            study.tell(trial, values=values, state=TrialState.COMPLETE)
    except RuntimeError as error:
        # A grid at its end, whose sampler stops what Optuna does not run itself; the trial is told by then.
        if not (isinstance(study.sampler, GridSampler) and "`Study.stop` is supposed to be" in str(error)):
            return _failed(study, trial, error)
    except Exception as error:  # a job's own error comes out of its result, whatever it is
        return _failed(study, trial, error)
    return None


def _failed(study: Study, trial: Trial, error: Exception) -> Exception:
    study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
    log.warning("trial %d failed: %s", trial.number, error)
    return error


def _standing(study: Study, total: int) -> str:
    """How far a sweep is, in a few words."""
    trials = study.get_trials(deepcopy=False)
    pruned = sum(trial.state is TrialState.PRUNED for trial in trials)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    words = f"{len(complete) + pruned} of {total} trials, {pruned} pruned"
    if complete and len(study.directions) == 1:
        words += f"; best {study.best_value:.4f} (trial {study.best_trial.number})"
    return words
