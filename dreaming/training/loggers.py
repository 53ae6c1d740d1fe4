"""Loggers of a fit: CSV files that a resumed run does not overwrite, TensorBoard, and Weights & Biases."""

import logging
import os
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import uuid4

import wandb
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from dreaming.constraints import NonNegativeFloat
from dreaming.errors import ConfigError

log = logging.getLogger(__name__)

MODES = ("online", "offline", "disabled", "shared", "run", "dryrun")
"""Values of ``WANDB_MODE`` that W&B accepts."""

UNREACHABLE = "DREAMING_WANDB_UNREACHABLE"
"""Environment variable with the path of a file that the first process that cannot reach W&B creates."""

_unreachable: list[str] = []
"""Reasons why W&B could not be reached; if there are any, this process does not try again."""

_offline: list[str] = []
"""Folders of this process's W&B runs that are kept offline."""

_config: dict[str, Any] = {}
"""Config of the current run, logged to its W&B runs."""


@contextmanager
def status_message() -> Iterator[None]:
    """Share between this process and those started in a block that W&B is unreachable, so that one of them warns."""
    path = Path(gettempdir()) / f"dreaming-{uuid4().hex}"
    os.environ[UNREACHABLE] = str(path)
    try:
        yield
    finally:
        del os.environ[UNREACHABLE]
        path.unlink(missing_ok=True)


@contextmanager
def logged_config(config: Mapping[str, Any]) -> Iterator[None]:
    """Log a config, as plain data, to the W&B runs that start in this block."""
    _config.update(config)
    try:
        yield
    finally:
        _config.clear()


def csv_logger(*, save_dir: str) -> CSVLogger:
    """Create a logger that writes to ``metrics/``, or if that exists to ``metrics-2/`` and so on."""
    names = (f"metrics-{number}" if number > 1 else "metrics" for number in count(1))
    name = next(name for name in names if not (Path(save_dir) / name).exists())
    return CSVLogger(save_dir, name="", version=name)


def tensorboard_logger(*, save_dir: str) -> TensorBoardLogger:
    """Create a logger that writes TensorBoard's event files to ``save_dir`` itself."""
    return TensorBoardLogger(save_dir, name="", version="")


def wandb_logger(
    *,
    save_dir: str,
    project: str,
    entity: str | None,
    tags: list[str],
    timeout: NonNegativeFloat = 15.0,
    finish_timeout: NonNegativeFloat = 120.0,
    group: str | None = None,
    name: str | None = None,
    job_type: str | None = None,
) -> WandbLogger:
    """Create a W&B run with its files in ``save_dir``: offline unless the user is logged in and the server answers.

    ``WANDB_MODE`` takes precedence.

    Args:
        save_dir: Folder of the run's files.
        project: W&B project.
        entity: W&B team; None for the user's own.
        tags: Tags of the run.
        timeout: Seconds to wait for the server before the run is kept offline.
        finish_timeout: Seconds to wait at the end until all is uploaded.
        group: Name of the sweep, which is a tag, too.
        name: Name of the run.
        job_type: The role of the run in its sweep.
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


def check_loggers(names: Collection[str]) -> None:
    """Check what the named loggers need: the value of ``WANDB_MODE``, and TensorBoard's package.

    Raises:
        ConfigError: If W&B does not accept the value, or the package is not installed.
    """
    mode = os.environ.get("WANDB_MODE")
    if "wandb" in names and mode and mode not in MODES:
        raise ConfigError(
            "WANDB_MODE", found=mode, expected="one of " + ", ".join(MODES), hint="correct the variable, or unset it"
        )
    if "tensorboard" in names and not (find_spec("tensorboard") or find_spec("tensorboardX")):
        raise ConfigError(
            "logger", found="tensorboard, whose package is missing", expected="a logger whose package is installed",
            hint="run pip install tensorboard, or leave it out",
        )  # fmt: skip


@rank_zero_only
def _begin(settings: Mapping[str, float], **about: Any) -> wandb.Run:
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


def _init(mode: Any, given: Mapping[str, Any], about: Mapping[str, Any]) -> wandb.Run:
    settings = wandb.Settings(silent=True, console="off", finish_timeout_raises=True, **given)
    run = wandb.init(mode=mode, reinit="create_new", settings=settings, **about)
    if Path(run.sync_dir).name.startswith("offline-run-"):
        _offline.append(run.sync_dir)
    return run


def log_sync_command() -> None:
    """Log the command that uploads this process's offline runs so far, if there are any."""
    if _offline:
        log.info("W&B: offline; to upload: %s", shlex.join(["wandb", "sync", *_offline]))
    _offline.clear()


def _is_unreachable() -> bool:
    return bool(_unreachable) or (UNREACHABLE in os.environ and Path(os.environ[UNREACHABLE]).exists())


def _mark_unreachable(reason: str) -> bool:
    """Keep this and related processes from trying again; return whether this is the first of them to fail."""
    _unreachable.append(reason)
    try:
        if UNREACHABLE in os.environ:
            Path(os.environ[UNREACHABLE]).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def log_table(logger: Logger, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Log a table if the logger is W&B's."""
    if isinstance(logger, WandbLogger):
        logger.log_table(name, columns=list(columns), data=[list(row) for row in rows])


def finish(logger: Logger, *, written_here: bool = True, failed: bool = False) -> None:
    """Close a logger: write its buffered values, and end its run, so that the next fit starts a new one.

    Args:
        logger: The logger.
        written_here: Whether this process logged to it; if not, another process has written and closed its files.
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
            log.warning("W&B: the upload of a run is incomplete; to upload the rest: wandb sync %s", run.sync_dir)
