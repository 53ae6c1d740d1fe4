"""Running a trained module over frames on the trainer's devices and in its precision."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.plugins.precision import Precision
from threadpoolctl import threadpool_limits
from torch import Tensor

from dreaming.artifacts.shard import Work, undivided
from dreaming.io.prefetch import prefetch_map
from dreaming.training.context import TrainingContext
from dreaming.training.distributed import check_strategy, in_each_process, is_one_of_several, make_portable
from dreaming.training.quiet import quiet_lightning

PIXELS_AT_ONCE = 2**23
"""Pixels of all frames that a CPU computes at once, which limits memory: four frames of 1080p."""

Key = TypeVar("Key")


@dataclass(frozen=True)
class InferenceRunner:
    """The device that a module is on, and the trainer's precision plugin, in which its forward calls run."""

    device: torch.device
    precision: Precision

    @contextmanager
    def forward_context(self) -> Iterator[None]:
        """Wrap one forward call: no gradients, and the trainer's autocast.

        A generator must not yield inside it, because both would stay active in the code that consumes the generator.
        """
        with torch.inference_mode(), self.precision.forward_context():
            yield

    def stream(
        self, compute: Callable[..., Tensor], items: Iterable[tuple[Key, Sequence[NDArray[Any]]]]
    ) -> Iterator[tuple[Key, NDArray[Any]]]:
        """Yield ``compute`` of each item's arrays, in order.

        On a GPU inputs are copied from pinned memory on a stream of their own, and a result is awaited only after the
        next item has been launched, so that neither copies nor the consumer delay the computation.

        Args:
            compute: Computes one tensor from an item's arrays, as tensors on the device.
            items: Keys with arrays.
        """
        if self.device.type != "cuda":
            yield from self._stream_on_cpu(compute, iter(items))
            return
        copies = torch.cuda.Stream(self.device)
        pending: deque[tuple[Key, Tensor, torch.cuda.Event]] = deque()
        for key, arrays in items:
            pending.append((key, *self._launch(compute, arrays, copies)))
            if len(pending) > 1:
                yield _wait(*pending.popleft())
        while pending:
            yield _wait(*pending.popleft())

    def _stream_on_cpu(
        self, compute: Callable[..., Tensor], items: Iterator[tuple[Key, Sequence[NDArray[Any]]]]
    ) -> Iterator[tuple[Key, NDArray[Any]]]:
        """Compute several items at once, with a share of the threads each.

        Threads that work on one item wait for each other after every layer, and burn time when the machine is busy.
        """
        first = next(items, None)
        if first is None:
            return
        pixels, threads = math.prod(first[1][0].shape[:-1]), torch.get_num_threads()
        workers = 1 if self.device.type != "cpu" else max(1, min(threads, PIXELS_AT_ONCE // pixels))

        def compute_item(item: tuple[Key, Sequence[NDArray[Any]]]) -> tuple[Key, NDArray[Any]]:
            key, arrays = item
            with self.forward_context():
                return key, compute(*(torch.from_numpy(array).to(self.device) for array in arrays)).cpu().numpy()

        share = partial(limit_threads, threads // workers)
        yield from prefetch_map(compute_item, chain([first], items), workers, prepare=share)

    def _launch(
        self, compute: Callable[..., Tensor], arrays: Sequence[NDArray[Any]], copies: torch.cuda.Stream
    ) -> tuple[Tensor, torch.cuda.Event]:
        """Queue the copies and the computation; the event ends the copy into the returned host tensor."""
        current = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(copies):
            inputs = [
                torch.from_numpy(np.ascontiguousarray(array)).pin_memory().to(self.device, non_blocking=True)
                for array in arrays
            ]
        current.wait_stream(copies)
        for tensor in inputs:
            tensor.record_stream(current)
        with self.forward_context():
            result = compute(*inputs)
            host = torch.empty_like(result, device="cpu", pin_memory=True)
            host.copy_(result, non_blocking=True)
        event = torch.cuda.Event()
        event.record(current)
        return host, event


def limit_threads(count: int) -> None:
    """Let the current thread use ``count`` threads; ``torch.set_num_threads`` would change other threads, too."""
    torch.get_num_threads()  # sets a new thread's number, which otherwise happens later
    threadpool_limits(count, "openmp")


def _wait(key: Key, host: Tensor, event: torch.cuda.Event) -> tuple[Key, NDArray[Any]]:
    event.synchronize()
    return key, host.numpy()


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

    Return when all are done. With one device the work runs in this process. It computes and writes the frames it is
    given, and has to be picklable.

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
