"""A sweep in Weights & Biases: one group a sweep: a run for each trial, for the last fit, and for the pictures."""

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
    loggers: Mapping[str, Callable[..., Logger]], plan: SweepConfig, trial: Trial, folder: Path
) -> Iterator[Callable[[Mapping[str, float], int], None]]:
    """A run of the trial for as long as a block lasts; yields what logs values at a step."""
    build = loggers.get(WANDB)
    if build is None:
        yield lambda values, step: None
        return
    logger = build(save_dir=str(folder), group=plan.name, name=f"{plan.name}-{trial.number}", job_type="trial")
    logger.log_hyperparams({**trial.params, "sweep": plan.name, "component": plan.component, "trial": trial.number})
    try:
        yield lambda values, step: logger.log_metrics(dict(values), step=step)
    finally:
        if isinstance(logger, WandbLogger):
            logger.experiment.summary[PRUNED] = bool(trial.user_attrs.get(PRUNED, False))
        finish(logger)


def refit_loggers(loggers: Mapping[str, Callable[..., Logger]], plan: SweepConfig) -> dict[str, Callable[..., Logger]]:
    """The loggers of the best trial's last fit, whose run is one of the sweep's, too."""
    about = {"group": plan.name, "name": f"{plan.name}-best", "job_type": "refit"}
    return {name: partial(build, **about) if name == WANDB else build for name, build in loggers.items()}


def log_plots(config: DictConfig, plan: SweepConfig, best: BestTrial | None, pictures: Sequence[Path]) -> None:
    """A run of the sweep as a whole, with what was found, if anything, and the pictures."""
    node = config.logger.get(WANDB)
    if node is None or not (best or pictures):
        return
    build: Callable[..., WandbLogger] = instantiate(
        node, _convert_="all", _execution_whitelist_=("dreaming.training.loggers.*",)
    )
    logger = build(save_dir=str(plan.folder), group=plan.name, name=plan.name, job_type="sweep")
    found = {} if best is None else {"best": list(best.overrides), "trial": best.trial}
    logger.log_hyperparams({"sweep": plan.name, "component": plan.component, **found})
    shown: dict[str, Any] = {f"sweep/{path.stem}": wandb.Image(str(path)) for path in pictures}
    logger.experiment.log({**({} if best is None else {"score": best.value}), **shown})
    finish(logger)


def log_sync_command(clip: Path, plan: SweepConfig, study: Study) -> None:
    """Print the line that uploads a sweep's offline runs, the one with the pictures among them, if there are any."""
    folders = [clip / str(trial.user_attrs[FOLDER]) for trial in study.trials if FOLDER in trial.user_attrs]
    offline = sorted({folder.parent for folder in folders if any(folder.glob("wandb/offline-run-*"))})
    patterns = [f"{folder}/*/wandb/offline-run-*" for folder in offline]
    if any(plan.folder.glob("wandb/offline-run-*")):
        patterns.append(f"{plan.folder}/wandb/offline-run-*")
    if patterns:
        log.info("W&B: offline; to upload: wandb sync %s", " ".join(patterns))
