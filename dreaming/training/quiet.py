"""Suppression of Lightning's messages in the user's log."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.profilers import PassThroughProfiler, Profiler

log = logging.getLogger(__name__)

PROFILE = "profile"


def write_profile(trainer: pl.Trainer, folder: Path, title: str | None) -> None:
    """Let a profiler write its report, of hundreds of lines, to a file; log its path if there is a title."""
    profiler: Profiler = trainer.profiler  # type: ignore[attr-defined]  # set by Lightning, but not declared
    if isinstance(profiler, PassThroughProfiler) or profiler.filename is not None:
        return
    profiler.dirpath, profiler.filename = folder, PROFILE
    if title is not None:
        log.info("%s: the profile is written to %s", title, folder / f"fit-{PROFILE}.txt")


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Suppress Lightning's messages about hardware and workers for a block."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Resuming in a folder and loading without workers are intended; LeafSpec is Lightning's own use of torch.
            warnings.filterwarnings("ignore", message=".*exists and is not empty")
            warnings.filterwarnings("ignore", message=".*does not have many workers")
            warnings.filterwarnings("ignore", message=".*LeafSpec")
            warnings.filterwarnings("ignore", message=".*dataloader is not resumable")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
