"""Running a fitted module over frames, on the devices and in the precision that the trainer's config names."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
import torch

from dreaming.io.shard import Work, undivided
from dreaming.training.context import TrainingContext
from dreaming.training.distributed import check_strategy, in_each_process, is_one_of_several, make_portable
from dreaming.training.quiet import quiet_lightning


@contextmanager
def on_device(module: pl.LightningModule, context: TrainingContext) -> Iterator[torch.device]:
    """Move a module to the workbench's device for a block, without gradients, under its autocast if it has one.

    Where it has several, the device is this process's own in what ``share_out`` does, else the first.
    """
    trainer = _idle_trainer(context)
    device = trainer.strategy.root_device
    module.to(device).eval()
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        yield device


def share_out(context: TrainingContext, stems: list[str], work: Work) -> None:
    """Do a work on frames in a process for each of the workbench's devices, a stretch of neighbours in each.

    With one device it is done in this process. Returns once all is done.

    Args:
        context: What the work runs on.
        stems: Names of the frames.
        work: Makes some of the frames and writes them; travels to the processes.

    Raises:
        ConfigError: If the trainer's strategy is none for several devices.
        DreamingError: If the work raises one; the first that a process met.
    """
    trainer = _idle_trainer(context)
    check_strategy(trainer)
    if trainer.num_devices == 1 or is_one_of_several():
        undivided(stems, work)
    else:
        make_portable(context.trainer)
        in_each_process(trainer.num_devices, stems, work)


def _idle_trainer(context: TrainingContext) -> pl.Trainer:
    """A Trainer that only says on which devices, and how precisely."""
    with quiet_lightning():
        return context.trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False)
