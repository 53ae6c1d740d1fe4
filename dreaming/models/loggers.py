"""Weights & Biases, offline unless the user is logged in, and never in the way."""

import logging
import os
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger

log = logging.getLogger(__name__)


def wandb_logger(*, save_dir: str, project: str, entity: str | None, tags: list[str]) -> WandbLogger:
    """A W&B run whose files lie in ``save_dir``; ``WANDB_MODE`` has the last word on whether it is online."""
    settings: dict[str, Any] = {"silent": True, "console": "off"}
    offline = "WANDB_MODE" not in os.environ and not _logged_in()
    return WandbLogger(
        project=project,
        entity=entity,
        tags=tags,
        save_dir=save_dir,
        offline=offline,
        settings=wandb.Settings(**settings),
    )


def _logged_in() -> bool:
    return bool(os.environ.get("WANDB_API_KEY") or wandb.api.api_key)
