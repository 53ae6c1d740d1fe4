"""Loggers of a fit: CSV files that a continued run never overwrites, and Weights & Biases, never in the way."""

import logging
import os
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

log = logging.getLogger(__name__)

_unreachable: list[str] = []
"""Why W&B could not be reached; this process does not try again."""


def csv_logger(*, save_dir: str) -> CSVLogger:
    """Metrics in ``metrics/``; a run that is continued writes to ``metrics-2/`` and so on."""
    names = (f"metrics-{number}" if number > 1 else "metrics" for number in count(1))
    name = next(name for name in names if not (Path(save_dir) / name).exists())
    return CSVLogger(save_dir, name="", version=name)


def wandb_logger(
    *,
    save_dir: str,
    project: str,
    entity: str | None,
    tags: list[str],
    timeout: float = 15.0,
    group: str | None = None,
    name: str | None = None,
    job_type: str | None = None,
) -> WandbLogger:
    """A W&B run whose files lie in ``save_dir``: offline unless the user is logged in and the server answers.

    ``WANDB_MODE`` has the last word on whether it is tried online.

    Args:
        save_dir: Folder of its files.
        project: W&B project.
        entity: W&B team; None for the user's own.
        tags: Of the run; a sweep's name is added.
        timeout: Seconds to wait for the server.
        group: Name of the sweep that the run belongs to.
        name: Of the run; None for one of W&B's.
        job_type: What it is in its group.
    """
    tags = [*tags, *([group] if group else [])]
    run = _begin(
        timeout, project=project, entity=entity, tags=tags, group=group, name=name, job_type=job_type, dir=save_dir
    )
    return WandbLogger(project=project, save_dir=save_dir, experiment=run)


@rank_zero_only
def _begin(timeout: float, **about: Any) -> wandb.Run:
    wanted = os.environ.get("WANDB_MODE") or ("online" if wandb.login(prompt=False, verify=False) else "offline")
    if wanted == "online" and _unreachable:
        wanted = "offline"
    try:
        return _init(wanted, timeout, about)
    except (wandb.errors.CommError, wandb.errors.UsageError, TimeoutError) as error:
        if wanted != "online":
            raise
        _unreachable.append(str(error))
        log.warning("W&B does not answer (%s); runs are kept offline", " ".join(str(error).split())[:120].rstrip("."))
        return _init("offline", timeout, about)


def _init(mode: str, timeout: float, about: Mapping[str, Any]) -> wandb.Run:
    settings = wandb.Settings(silent=True, console="off", init_timeout=timeout)
    return wandb.init(mode=mode, reinit="create_new", settings=settings, **about)  # type: ignore[arg-type]


def log_table(logger: Logger, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Log a table, where the logger takes any."""
    if isinstance(logger, WandbLogger):
        logger.log_table(name, columns=list(columns), data=[list(row) for row in rows])


def finish(logger: Logger, *, written_here: bool = True) -> None:
    """Close a logger: what it holds is written, and another fit of this process gets a run of its own.

    Args:
        logger: The logger.
        written_here: Whether this process logged to it; another one has written and closed its files.
    """
    if written_here:
        logger.finalize("success")
    if isinstance(logger, WandbLogger):  # its experiment does nothing on other ranks
        logger.experiment.finish()
