"""A sweep in Weights & Biases: one group with a run for each trial, for the last fit and for the plots."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import wandb
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.study import Study
from optuna.trial import Trial
from pytorch_lightning.loggers import Logger, WandbLogger

from dreaming.sweep.best import BestTrial
from dreaming.sweep.config import SweepConfig
from dreaming.sweep.trial import FOLDER, PRUNED
from dreaming.training.loggers import finish

log = logging.getLogger(__name__)

WANDB = "wandb"


@contextmanager
def trial_logger(
    loggers: Mapping[str, Callable[..., Logger]], sweep_config: SweepConfig, trial: Trial, folder: Path
) -> Iterator[Callable[[Mapping[str, float], int], None]]:
    """Open a W&B run for a trial; yield a function that logs values at a step, without effect if W&B is off."""
    build = loggers.get(WANDB)
    if build is None:
        yield lambda values, step: None
        return
    sweep, component = sweep_config.name, sweep_config.component
    logger = build(save_dir=str(folder), group=sweep, name=f"{sweep}-{trial.number}", job_type="trial")
    logger.log_hyperparams({**trial.params, "sweep": sweep, "component": component, "trial": trial.number})
    try:
        yield lambda values, step: logger.log_metrics(dict(values), step=step)
    finally:
        if isinstance(logger, WandbLogger):
            logger.experiment.summary[PRUNED] = bool(trial.user_attrs.get(PRUNED, False))
        finish(logger)


def refit_loggers(
    loggers: Mapping[str, Callable[..., Logger]], sweep_config: SweepConfig
) -> dict[str, Callable[..., Logger]]:
    """The loggers of the best trial's last fit, whose W&B run belongs to the sweep's group."""
    run = {"group": sweep_config.name, "name": f"{sweep_config.name}-best", "job_type": "refit"}
    return {name: partial(build, **run) if name == WANDB else build for name, build in loggers.items()}


def log_plots(config: DictConfig, sweep_config: SweepConfig, best: BestTrial | None, plots: Sequence[Path]) -> None:
    """Log a W&B run of the whole sweep: the best trial, if any, and the plots."""
    node = config.logger.get(WANDB)
    if node is None or not (best or plots):
        return
    build: Callable[..., WandbLogger] = instantiate(node, _convert_="all")
    name = sweep_config.name
    logger = build(save_dir=str(sweep_config.folder), group=name, name=name, job_type="sweep")
    values = {} if best is None else {"best": list(best.overrides), "trial": best.trial}
    logger.log_hyperparams({"sweep": name, "component": sweep_config.component, **values})
    images: dict[str, Any] = {f"sweep/{path.stem}": wandb.Image(str(path)) for path in plots}
    logger.experiment.log({**({} if best is None else {"score": best.value}), **images})
    finish(logger)


def log_sync_command(clip: Path, sweep_config: SweepConfig, study: Study) -> None:
    """Log the command that uploads a sweep's offline runs, if there are any."""
    folders = [clip / str(trial.user_attrs[FOLDER]) for trial in study.trials if FOLDER in trial.user_attrs]
    offline = sorted({folder.parent for folder in folders if any(folder.glob("wandb/offline-run-*"))})
    patterns = [f"{folder}/*/wandb/offline-run-*" for folder in offline]
    if any(sweep_config.folder.glob("wandb/offline-run-*")):
        patterns.append(f"{sweep_config.folder}/wandb/offline-run-*")
    if patterns:
        log.info("W&B: offline; to upload: wandb sync %s", " ".join(patterns))
