"""Suppression of Lightning's messages in the user's log."""

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Suppress Lightning's messages about hardware and workers for a block."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    # The report of a profiler that the user asked for is not suppressed.
    logging.getLogger("pytorch_lightning.profilers").setLevel(logging.INFO)
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
