"""Running a fitted module over frames, on the devices and in the precision that the trainer's config names."""

from collections.abc import Iterator
from contextlib import contextmanager

import lightning
import torch

from dreaming.frames.shard import Work, undivided
from dreaming.models.fit import Workbench
from dreaming.models.quiet import quiet_lightning
from dreaming.models.several_devices import check_strategy, in_each_process, is_one_of_several, make_portable


@contextmanager
def on_device(module: lightning.LightningModule, workbench: Workbench) -> Iterator[torch.device]:
    """Move a module to the workbench's device for a block, without gradients, under its autocast if it has one.

    Where it has several, the device is this process's own in what ``share_out`` does, else the first.
    """
    trainer = _idle_trainer(workbench)
    device = trainer.strategy.root_device
    module.to(device).eval()
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        yield device


def share_out(workbench: Workbench, stems: list[str], work: Work) -> None:
    """Do a work on frames in a process for each of the workbench's devices, a stretch of neighbours in each.

    With one device it is done in this process. Returns once all is done.

    Args:
        workbench: What the work runs on.
        stems: Names of the frames.
        work: Makes some of the frames and writes them; travels to the processes.

    Raises:
        ConfigError: If the trainer's strategy is none for several devices.
        DreamingError: If the work raises one; the first that a process met.
    """
    trainer = _idle_trainer(workbench)
    check_strategy(trainer)
    if trainer.num_devices == 1 or is_one_of_several():
        undivided(stems, work)
    else:
        make_portable(workbench.trainer)
        in_each_process(trainer.num_devices, stems, work)


def _idle_trainer(workbench: Workbench) -> lightning.Trainer:
    """A Trainer that only says on which devices, and how precisely."""
    with quiet_lightning():
        return workbench.trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False)
