"""Running a fitted module over frames, on the device and in the precision that the trainer's config names."""

from collections.abc import Iterator
from contextlib import contextmanager

import lightning
import torch

from dreaming.models.fit import Workbench
from dreaming.models.quiet import quiet_lightning


@contextmanager
def on_device(module: lightning.LightningModule, workbench: Workbench) -> Iterator[torch.device]:
    """Move a module to the workbench's device for a block, without gradients, under its autocast if it has one."""
    with quiet_lightning():
        trainer = workbench.trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False)
    device = trainer.strategy.root_device
    module.to(device).eval()
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        yield device
