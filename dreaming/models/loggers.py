"""Loggers of a fit: CSV files that a continued run never overwrites, and Weights & Biases, never in the way."""

import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only


def csv_logger(*, save_dir: str) -> CSVLogger:
    """Metrics in ``metrics/``; a run that is continued writes to ``metrics-2/`` and so on."""
    names = (f"metrics-{number}" if number > 1 else "metrics" for number in count(1))
    name = next(name for name in names if not (Path(save_dir) / name).exists())
    return CSVLogger(save_dir, name="", version=name)


def wandb_logger(*, save_dir: str, project: str, entity: str | None, tags: list[str]) -> WandbLogger:
    """A W&B run whose files lie in ``save_dir``: offline unless the user is logged in.

    ``WANDB_MODE`` has the last word on whether it is online.
    """
    return WandbLogger(project=project, save_dir=save_dir, experiment=_begin(save_dir, project, entity, tags))


@rank_zero_only
def _begin(save_dir: str, project: str, entity: str | None, tags: list[str]) -> wandb.Run:
    mode = os.environ.get("WANDB_MODE") or ("online" if wandb.login(prompt=False, verify=False) else "offline")
    return wandb.init(
        project=project,
        entity=entity,
        tags=tags,
        dir=save_dir,
        mode=mode,  # type: ignore[arg-type]
        reinit="create_new",
        settings=wandb.Settings(silent=True, console="off"),
    )


def log_table(logger: Logger, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Log a table, where the logger takes any."""
    if isinstance(logger, WandbLogger):
        logger.log_table(name, columns=list(columns), data=[list(row) for row in rows])


def finish(logger: Logger) -> None:
    """Close a logger: what it holds is written, and another fit of this process gets a run of its own."""
    logger.finalize("success")
    if isinstance(logger, WandbLogger):  # its experiment does nothing on other ranks
        logger.experiment.finish()
