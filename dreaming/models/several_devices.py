"""What a fit needs where processes of their own do it, one for each device."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback


def make_portable(model: lightning.LightningModule) -> None:
    """Let a module travel to other processes: Hydra's own kind of partial cannot."""
    holder: Any = model
    if isinstance(holder.optimizer, partial):
        holder.optimizer = partial(holder.optimizer.func, *holder.optimizer.args, **holder.optimizer.keywords)


def recall(callbacks: Sequence[Callback], checkpoint: Path) -> None:
    """Bring back what callbacks noted in other processes, from the checkpoint that those wrote."""
    kept = torch.load(checkpoint, map_location="cpu", weights_only=True)["callbacks"]
    for callback in callbacks:
        callback.load_state_dict(kept[callback.state_key])
