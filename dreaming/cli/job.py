"""One job under Hydra, of which a multirun has several, perhaps in processes of their own.

Modules that import torch are imported where they are used, because ``--help`` has to be quick.
"""

import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from dreaming import interruption
from dreaming.cli.clip_settings import used_settings
from dreaming.cli.config import clip_path, parse, task_overrides, thread_count
from dreaming.cli.explain import explain
from dreaming.cli.run_records import note_records
from dreaming.cli.system_errors import system_error
from dreaming.clip.clip import Clip
from dreaming.instantiation.trust import trust, trusted_packages
from dreaming.io.atomic import write_atomically

log = logging.getLogger(__name__)

Job = Callable[[DictConfig], Any]


def run_job(program: str, config: DictConfig, job: Job) -> Any:
    """Run one job: set up the process, apply the clip's values to the config, and explain errors.

    Raises:
        DreamingError: For any error that the user can correct.
        BrokenPipeError: If the reader of the output, such as ``head``, has closed the pipe.
    """
    import cv2
    import torch

    from dreaming.cli.check import working_folder_error
    from dreaming.cli.overlay import with_clip_values
    from dreaming.instantiation.build import resolved
    from dreaming.training.loggers import log_sync_command, logged_config

    interruption.install()  # again, because a launcher may have started this process
    threads = thread_count(config)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_FATAL)  # its messages name no file
    try:
        if HydraConfig.get().job.chdir:
            raise working_folder_error()
        if _is_multirun():
            _begin_job(Path(HydraConfig.get().runtime.output_dir))
        overrides = task_overrides()
        trust(trusted_packages(parse(overrides)))  # again, for the same reason
        note_records()
        clip = Clip(clip_path(config))
        if used := used_settings(clip, overrides):
            log.info("settings from %s: %s", clip.path / "clip.yaml", " ".join(used))
        config = with_clip_values(config, overrides)
        record = Path(HydraConfig.get().runtime.output_dir) / str(HydraConfig.get().output_subdir) / "config.yaml"
        if record.exists():  # Hydra wrote it without the clip's values
            OmegaConf.save(config, record)
        with logged_config(resolved(config)), _warnings_in_log_file():
            result = job(config)
        if "sweep" not in config:  # a sweep logs one command for all its trials
            log_sync_command()
        return result
    except SystemExit:
        # From Rich, whose reader has closed the pipe. A launcher's process would pickle it without end, because Hydra
        # gives it a reference to the job's result, which refers to it.
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
    except Exception as error:
        explained = system_error(error) or explain(error, program)
        if explained is None:
            raise
        if _is_multirun() and "sweep" not in config:
            # A multirun continues with its other jobs, so each failed job logs its error; a sweep logs its trials.
            log.error("%s", explained)
        raise explained from error


@contextmanager
def _warnings_in_log_file() -> Iterator[None]:
    """Write warnings of libraries to the run's log file only, because they name lines of code instead of keys."""
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)


def _begin_job(folder: Path) -> None:
    """Log a job's number and overrides, and mark the folder of a multirun, which Hydra marks in one clip only."""
    from dreaming.training.run_registry import MULTIRUN  # imports torch, which --help must not

    overrides = task_overrides()
    log.info("job %s: %s", folder.name, " ".join(overrides))
    record = folder.parent / MULTIRUN
    if not record.exists():
        write_atomically(record, OmegaConf.to_yaml(OmegaConf.create({"overrides": overrides})).encode())


def _is_multirun() -> bool:
    return HydraConfig.get().mode is hydra.types.RunMode.MULTIRUN
