"""Loggers of a fit: CSV files that a continued run never overwrites, and Weights & Biases, never in the way."""

import os
from itertools import count
from pathlib import Path

import wandb
from lightning.pytorch.loggers import CSVLogger, WandbLogger


def csv_logger(*, save_dir: str) -> CSVLogger:
    """Metrics in ``metrics/``; a run that is continued writes to ``metrics-2/`` and so on."""
    names = (f"metrics-{number}" if number > 1 else "metrics" for number in count(1))
    name = next(name for name in names if not (Path(save_dir) / name).exists())
    return CSVLogger(save_dir, name="", version=name)


def wandb_logger(*, save_dir: str, project: str, entity: str | None, tags: list[str]) -> WandbLogger:
    """A W&B run whose files lie in ``save_dir``; ``WANDB_MODE`` has the last word on whether it is online."""
    os.environ.setdefault("WANDB_SILENT", "true")
    mode = os.environ.get("WANDB_MODE") or ("online" if wandb.login(prompt=False, verify=False) else "offline")
    return WandbLogger(
        project=project,
        entity=entity,
        tags=tags,
        save_dir=save_dir,
        mode=mode,
        settings=wandb.Settings(silent=True, console="off"),
    )
