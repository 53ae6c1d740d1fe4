"""Running a trained module over frames on the trainer's devices and in its precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import Precision

from dreaming.io.shard import Work, undivided
from dreaming.training.context import TrainingContext
from dreaming.training.distributed import check_strategy, in_each_process, is_one_of_several, make_portable
from dreaming.training.quiet import quiet_lightning


@dataclass(frozen=True)
class InferenceRunner:
    """The device and the precision that a module's forward calls run with.

    Attributes:
        device: The device that the module is on.
        precision: The trainer's precision plugin.
    """

    device: torch.device
    precision: Precision

    @contextmanager
    def forward_context(self) -> Iterator[None]:
        """Wrap one forward call: no gradients, and the trainer's autocast.

        A generator must not yield inside it, because both would stay active in the code that consumes the generator.
        """
        with torch.inference_mode(), self.precision.forward_context():
            yield


def prepare_inference(module: pl.LightningModule, context: TrainingContext) -> InferenceRunner:
    """Move a module to the trainer's device in evaluation mode.

    Of several devices this is the current process's own within ``share_out``, otherwise the first.
    """
    trainer = _idle_trainer(context)
    device = trainer.strategy.root_device
    module.to(device).eval()
    return InferenceRunner(device, trainer.precision_plugin)


def share_out(context: TrainingContext, stems: list[str], work: Work) -> None:
    """Split frames into intervals and process each on one of the trainer's devices, in parallel.

    With one device the work runs in this process. Returns when all frames are done.

    Args:
        context: Trainer to take the devices from.
        stems: Names of the frames.
        work: Computes and writes the frames it is given; has to be picklable.

    Raises:
        ConfigError: If the trainer's strategy does not support several devices.
        DreamingError: If the work raises one; the first in time.
    """
    trainer = _idle_trainer(context)
    check_strategy(trainer)
    if trainer.num_devices == 1 or is_one_of_several():
        undivided(stems, work)
    else:
        make_portable(context.trainer)
        in_each_process(trainer.num_devices, stems, work)


def _idle_trainer(context: TrainingContext) -> pl.Trainer:
    """Build a Trainer only to read its devices and precision."""
    with quiet_lightning():
        return context.trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False)
