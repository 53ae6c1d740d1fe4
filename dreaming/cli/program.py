"""The common part of both programs: check the config, run under Hydra, report errors, and set the exit code.

Modules that import torch are imported where they are used, because ``--help`` has to be quick.
"""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from dreaming import interruption
from dreaming.cli import config as configuration
from dreaming.cli.explain import explain
from dreaming.cli.show import show_config, shows_config
from dreaming.cli.system_errors import run_folder_of_read_only_clip, system_error
from dreaming.cli.trust import trust, trusted_packages, whitelist
from dreaming.errors import DreamingError

log = logging.getLogger(__name__)

USER_ERROR = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

Job = Callable[[DictConfig], Any]


def main(program: str, job: Job) -> None:
    """Run a program and exit: 0 success, 2 an error of the user, 130 interrupted, 143 terminated."""
    interruption.install()
    sys.exit(_run(program, job))


def _run(program: str, job: Job) -> int:
    configuration.prepare()
    logging.raiseExceptions = False  # a full disk must not print a traceback for each line of the log file
    arguments = configuration.arguments()
    try:
        if shows_config(arguments):
            show_config(program, arguments)
        elif configuration.informs_only(arguments):
            _start_hydra(program, job)
        else:
            return _work(program, job, arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to flush at exit
        return BROKEN_PIPE
    except Exception as error:
        return _explained(error)
    return 0


def _work(program: str, job: Job, arguments: list[str]) -> int:
    from dreaming.cli.check import check
    from dreaming.sweep.sweeper import StudySweeper
    from dreaming.training.loggers import status_message

    refused: list[DreamingError] = []

    def task(config: DictConfig) -> Any:
        return _in_job(config, job, refused)

    # Hydra discovers plugins in its own namespace package only.
    Plugins.instance().register(StudySweeper)
    try:
        check(program, arguments)
        with status_message(), run_folder_of_read_only_clip(arguments if program == "dream" else ()):
            _start_hydra(program, task)
        if refused:
            raise refused[0]
    except KeyboardInterrupt as error:
        terminated = isinstance(error, interruption.Terminated)
        alone = program == "train" and not {"-m", "--multirun"} & set(arguments)
        how = "add ckpt_path=last to the same command to resume" if alone else "run the same command to resume"
        _print_error(f"{'terminated' if terminated else 'interrupted'}; {how}")
        return TERMINATED if terminated else INTERRUPTED
    except Exception as error:
        return _explained(error)
    return 0


def _start_hydra(program: str, task: Job) -> None:
    conf = str(configuration.config_root() / "conf")
    hydra.main(config_path=conf, config_name=program, execution_whitelist=whitelist())(task)()


def _in_job(config: DictConfig, job: Job, refused: list[DreamingError]) -> Any:
    import cv2
    import torch

    from dreaming.cli.build import resolved
    from dreaming.cli.overlay import with_clip_values
    from dreaming.training.loggers import logged_config

    interruption.install()  # again, because a launcher may have started this process
    threads = configuration.thread_count(config)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        overrides = configuration.task_overrides()
        trust(trusted_packages(configuration.parse(overrides)))  # again, for the same reason
        config = with_clip_values(config, overrides)
        record = Path(HydraConfig.get().runtime.output_dir) / str(HydraConfig.get().output_subdir) / "config.yaml"
        if record.exists():  # Hydra wrote it without the clip's values
            OmegaConf.save(config, record)
        with logged_config(resolved(config)):
            return job(config)
    except Exception as error:
        explained = system_error(error) or explain(error)
        if explained is None:
            raise
        if HydraConfig.get().mode is hydra.types.RunMode.RUN:
            # The error bypasses Hydra, which would print additional lines about a failed job.
            refused.append(explained)
            return None
        # A multirun continues with its other jobs, so each failed job logs its error.
        log.error("%s", explained)
        raise explained from error


def _explained(error: Exception) -> int:
    """Print an error that the user can correct as one sentence; raise any other."""
    explained = system_error(error) or explain(error)
    if explained is None:
        raise error
    _print_error(str(explained))
    return USER_ERROR


def _print_error(sentence: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"dreaming: {sentence}", markup=False)
