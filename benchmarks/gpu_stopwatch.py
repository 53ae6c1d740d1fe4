"""What benchmarks/gpu.py measures with: a table that is printed row by row, a stopwatch, and callbacks of a Trainer."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from dreaming.losses.style import similarity


@dataclass
class Report:
    """Rows of one Markdown table, printed as they come.

    Attributes:
        deadline: Monotonic time after which no further row is begun.
        out: File that rows are appended to; None for none.
        rows: What was measured: (section, setting, value, unit).
    """

    deadline: float
    out: Path | None = None
    rows: list[tuple[str, str, float, str]] = field(default_factory=list)

    def line(self, text: str) -> None:
        """Print a line at once, to the file too."""
        print(text, flush=True)
        if self.out is not None:
            with self.out.open("a", encoding="utf-8") as file:
                file.write(text + "\n")

    def add(self, section: str, setting: str, measure: Callable[[], Mapping[str, float]]) -> None:
        """Measure and print one row for each unit; a failure is a row, too, and ends nothing."""
        if time.monotonic() > self.deadline:
            return
        try:
            values = measure()
        except Exception as error:  # what compilers, drivers and allocators raise has no common type
            self.line(
                f"| {section} | {setting} | failed | {type(error).__name__}: {str(error).splitlines()[0][:120]} |"
            )
            return
        for unit, value in values.items():
            self.rows.append((section, setting, value, unit))
            self.line(f"| {section} | {setting} | {value:.4g} | {unit} |")


@dataclass(frozen=True)
class Machine:
    """Where things run.

    Attributes:
        device: The GPU, or the CPU.
        reduced: Small sizes and few steps, for a test of the script.
    """

    device: torch.device
    reduced: bool

    @property
    def is_gpu(self) -> bool:
        """Whether there is a GPU to measure."""
        return self.device.type == "cuda"

    def synchronise(self) -> None:
        """Wait for all that was launched."""
        if self.is_gpu:
            torch.cuda.synchronize()

    def seconds(self, run: Callable[[], object], times: int, warm_up: int = 2) -> float:
        """Wall seconds of one call, on average."""
        for _ in range(warm_up):
            run()
        self.synchronise()
        start = time.perf_counter()
        for _ in range(times):
            run()
        self.synchronise()
        return (time.perf_counter() - start) / times

    def peak(self) -> dict[str, float]:
        """Peak device memory since the last call, in GB."""
        if not self.is_gpu:
            return {}
        peak = torch.cuda.max_memory_allocated() / 1e9
        torch.cuda.reset_peak_memory_stats()
        return {"GB peak": peak}


class StepTimer(pl.Callback):
    """Times the training steps after the first ``warm_up`` ones.

    Attributes:
        rate: Steps per second, after the fit.
    """

    def __init__(self, machine: Machine, warm_up: int) -> None:
        self.machine, self.warm_up, self.rate = machine, warm_up, 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Note the time of the first step that counts."""
        if trainer.global_step == self.warm_up:
            self.machine.synchronise()
            self.start = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        """Divide."""
        self.machine.synchronise()
        self.rate = (trainer.global_step - self.warm_up) / (time.perf_counter() - self.start)


class QualityClock(pl.Callback):
    """Scores held-out frames during training, with the clock stopped meanwhile.

    Attributes:
        curve: (seconds of training, SSIM) at each scoring.
    """

    def __init__(self, frames: Tensor, truth: Tensor, every: int) -> None:
        self.frames, self.truth, self.every = frames, truth, every
        self.curve: list[tuple[float, float]] = []

    def on_train_start(self, *_: Any) -> None:
        """Start the clock: after compilation and warm start, as a user would count from the first step."""
        self.spent, self.resumed = 0.0, time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Score every few steps."""
        if trainer.global_step % self.every:
            return
        self.spent += time.perf_counter() - self.resumed
        made = torch.cat([module.stylise(frame[None].to(module.device)) for frame in self.frames]).cpu()
        self.curve.append((self.spent, float(similarity(made, self.truth).mean())))
        self.resumed = time.perf_counter()


def trainer(machine: Machine, precision: str, steps: int, callbacks: list[pl.Callback]) -> pl.Trainer:
    """A bare Trainer: no loggers, checkpoints or validation."""
    return pl.Trainer(
        accelerator="gpu" if machine.is_gpu else "cpu", devices=1, precision=precision, max_steps=steps,  # type: ignore[arg-type]  # any text
        callbacks=callbacks, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, benchmark=machine.is_gpu,
    )  # fmt: skip
