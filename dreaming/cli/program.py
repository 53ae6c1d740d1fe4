"""What both programs share: check, run under Hydra, and end with a sentence and an exit code."""

import errno
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from dreaming.cli import config as configuration
from dreaming.errors import DreamingError, SpaceError

log = logging.getLogger(__name__)

USER_ERROR = 2
INTERRUPTED = 130


def main(program: str, job: Callable[[DictConfig], Any]) -> None:
    """Run a program to its end and exit: 0 done, 2 for what the user can mend, 130 when interrupted."""
    sys.exit(_run(program, job))


def _run(program: str, job: Callable[[DictConfig], Any]) -> int:
    configuration.prepare()
    arguments = configuration.arguments()

    def task(config: DictConfig) -> Any:
        return _in_job(config, job)

    try:
        if not configuration.informs_only(arguments):
            configuration.check(program, arguments)
        conf = str(configuration.config_root() / "conf")
        hydra.main(config_path=conf, config_name=program, execution_whitelist=configuration.TRUSTED)(task)()
    except KeyboardInterrupt:
        _say("stopped; start it again to continue where it was")
        return INTERRUPTED
    except Exception as error:
        explained = _as_space(error) or configuration.explain(error)
        if explained is None:
            raise
        _say(str(explained))
        return USER_ERROR
    return 0


def _in_job(config: DictConfig, job: Callable[[DictConfig], Any]) -> Any:
    threads = configuration.thread_count(config)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    if HydraConfig.get().mode is hydra.types.RunMode.RUN:
        return job(config)
    try:
        return job(config)
    except DreamingError as error:
        # A multirun goes on with its other jobs; each failed one has to say why by itself.
        log.error("%s", error)
        raise


def _as_space(error: Exception) -> DreamingError | None:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = Path(str(error.filename or Path.cwd()))
        return SpaceError(where, found="no space left on the disk", expected="room to write", mend="free some space")
    return None


def _say(sentence: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"dreaming: {sentence}", markup=False)
