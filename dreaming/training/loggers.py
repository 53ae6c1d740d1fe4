"""Loggers of a fit: CSV files that a continued run never overwrites, and Weights & Biases, never in the way."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import uuid4

import wandb
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from dreaming.errors import ConfigError

log = logging.getLogger(__name__)

MODES = ("online", "offline", "disabled", "shared", "run", "dryrun")
"""What W&B takes for ``WANDB_MODE``."""

UNREACHABLE = "DREAMING_WANDB_UNREACHABLE"
"""Variable that names a file, made by the first of several processes that finds W&B unreachable."""

_unreachable: list[str] = []
"""Why W&B could not be reached; this process does not try again."""

_config: dict[str, Any] = {}
"""Config of the run at work, logged to its W&B runs."""


@contextmanager
def status_message() -> Iterator[None]:
    """Let this process and those that it starts in a block know from one another that W&B is unreachable."""
    path = Path(gettempdir()) / f"dreaming-{uuid4().hex}"
    os.environ[UNREACHABLE] = str(path)
    try:
        yield
    finally:
        del os.environ[UNREACHABLE]
        path.unlink(missing_ok=True)


@contextmanager
def logged_config(config: Mapping[str, Any]) -> Iterator[None]:
    """Log a run's config, as plain data, to the W&B runs that begin in this block."""
    _config.update(config)
    try:
        yield
    finally:
        _config.clear()


def csv_logger(*, save_dir: str) -> CSVLogger:
    """Metrics in ``metrics/``; a run that is continued writes to ``metrics-2/`` and so on."""
    names = (f"metrics-{number}" if number > 1 else "metrics" for number in count(1))
    name = next(name for name in names if not (Path(save_dir) / name).exists())
    return CSVLogger(save_dir, name="", version=name)


def tensorboard_logger(*, save_dir: str) -> TensorBoardLogger:
    """Event files of TensorBoard, in ``save_dir`` itself."""
    return TensorBoardLogger(save_dir, name="", version="")


def wandb_logger(
    *,
    save_dir: str,
    project: str,
    entity: str | None,
    tags: list[str],
    timeout: float = 15.0,
    finish_timeout: float = 120.0,
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
        finish_timeout: Seconds to wait at the end until all is uploaded.
        group: Name of the sweep that the run belongs to.
        name: Of the run; None for one of W&B's.
        job_type: What it is in its group.
    """
    tags = [*tags, *([group] if group else [])]
    settings = {"init_timeout": timeout, "finish_timeout": finish_timeout}
    run = _begin(
        settings,
        project=project,
        entity=entity,
        tags=tags,
        group=group,
        name=name,
        job_type=job_type,
        dir=save_dir,
        config=dict(_config) or None,
    )
    return WandbLogger(project=project, save_dir=save_dir, experiment=run)


def check_mode() -> None:
    """Refuse a ``WANDB_MODE`` that W&B does not know.

    Raises:
        ConfigError: If it is set to another word.
    """
    mode = os.environ.get("WANDB_MODE")
    if mode and mode not in MODES:
        raise ConfigError(
            "WANDB_MODE", found=mode, expected="one of " + ", ".join(MODES), hint="correct the variable, or unset it"
        )


@rank_zero_only
def _begin(settings: Mapping[str, float], **about: Any) -> wandb.Run:
    check_mode()
    mode = os.environ.get("WANDB_MODE")
    wanted = mode or "online"
    if wanted == "online" and _is_unreachable():
        wanted = "offline"
    try:
        if wanted == "online" and not mode and not wandb.login(prompt=False, verify=False):
            wanted = "offline"
        return _init(wanted, settings, about)
    except (wandb.errors.CommError, wandb.errors.UsageError, TimeoutError) as error:
        if wanted != "online":
            raise
        if _mark_unreachable(str(error)):
            reason = " ".join(str(error).split())[:120].rstrip(".")
            log.warning("W&B cannot be reached (%s); runs are kept offline", reason)
        return _init("offline", settings, about)


def _init(mode: str, given: Mapping[str, float], about: Mapping[str, Any]) -> wandb.Run:
    settings = wandb.Settings(silent=True, console="off", finish_timeout_raises=True, **given)  # type: ignore[arg-type]
    return wandb.init(mode=mode, reinit="create_new", settings=settings, **about)  # type: ignore[arg-type]


def _is_unreachable() -> bool:
    return bool(_unreachable) or (UNREACHABLE in os.environ and Path(os.environ[UNREACHABLE]).exists())


def _mark_unreachable(reason: str) -> bool:
    """Try no more, here and in related processes; return whether this is the first of them to find out."""
    _unreachable.append(reason)
    try:
        if UNREACHABLE in os.environ:
            Path(os.environ[UNREACHABLE]).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def log_table(logger: Logger, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Log a table, where the logger takes any."""
    if isinstance(logger, WandbLogger):
        logger.log_table(name, columns=list(columns), data=[list(row) for row in rows])


def finish(logger: Logger, *, written_here: bool = True, failed: bool = False) -> None:
    """Close a logger: what it holds is written, and another fit of this process gets a run of its own.

    Args:
        logger: The logger.
        written_here: Whether this process logged to it; another one has written and closed its files.
        failed: Whether the fit ended with an error, which W&B then shows.
    """
    if written_here:
        logger.finalize("failed" if failed else "success")
    if isinstance(logger, WandbLogger):  # its experiment does nothing on other ranks
        run = logger.experiment
        try:
            run.finish(**({"exit_code": 1} if failed else {}))
        except TimeoutError as error:
            _mark_unreachable(str(error))
            log.warning("W&B did not take all of a run; to upload the rest: wandb sync %s", run.sync_dir)
