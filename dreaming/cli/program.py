"""What both programs share: check, run under Hydra, and end with a sentence and an exit code."""

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
from pytorch_lightning.utilities.exceptions import SIGTERMException
from rich.console import Console

from dreaming.cli import config as configuration
from dreaming.cli.check import check
from dreaming.cli.explain import explain
from dreaming.cli.trust import TRUSTED
from dreaming.errors import DreamingError, SpaceError
from dreaming.io.atomic import FULL
from dreaming.training.loggers import status_message

log = logging.getLogger(__name__)

USER_ERROR = 2
INTERRUPTED = 130
TERMINATED = 143


def main(program: str, job: Callable[[DictConfig], Any]) -> None:
    """Run a program to its end and exit: 0 done, 2 for what the user can mend, 130 when interrupted, 143 when ended."""
    sys.exit(_run(program, job))


def _run(program: str, job: Callable[[DictConfig], Any]) -> int:
    configuration.prepare()
    arguments = configuration.arguments()
    refused: list[DreamingError] = []

    def task(config: DictConfig) -> Any:
        return _in_job(config, job, refused)

    try:
        if not configuration.informs_only(arguments):
            check(program, arguments)
        conf = str(configuration.config_root() / "conf")
        with status_message():
            hydra.main(config_path=conf, config_name=program, execution_whitelist=TRUSTED)(task)()
        if refused:
            raise refused[0]
    except KeyboardInterrupt:
        _say("stopped; start it again to continue where it was")
        return INTERRUPTED
    except SIGTERMException:
        _say("told to end; start it again to continue where it was")
        return TERMINATED
    except Exception as error:
        explained = _as_space(error) or explain(error)
        if explained is None:
            raise
        _say(str(explained))
        return USER_ERROR
    return 0


def _in_job(config: DictConfig, job: Callable[[DictConfig], Any], refused: list[DreamingError]) -> Any:
    threads = configuration.thread_count(config)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        return job(config)
    except Exception as error:
        explained = _as_space(error) or explain(error)
        if explained is None:
            raise
        if HydraConfig.get().mode is hydra.types.RunMode.RUN:
            # Past Hydra, which would print lines of its own about a job that failed.
            refused.append(explained)
            return None
        # A multirun goes on with its other jobs; each failed one has to say why by itself.
        log.error("%s", explained)
        raise explained from error


def _as_space(error: Exception) -> DreamingError | None:
    if isinstance(error, OSError) and error.errno in FULL:
        where = Path(str(error.filename or Path.cwd()))
        return SpaceError(where, found="no space left on the disk", expected="room to write", hint="free some space")
    return None


def _say(sentence: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"dreaming: {sentence}", markup=False)
