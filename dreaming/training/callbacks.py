"""Lightning callbacks of a fit: learning rate over the budget, progress bar, record of the monitored value."""

import math
from contextlib import ExitStack
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Timer

from dreaming.errors import ConfigError
from dreaming.progress import Bar, bar


def steps_done(trainer: pl.Trainer) -> int:
    """Batches trained on so far, counted once each however many optimizers there are."""
    return trainer.fit_loop.epoch_loop.total_batch_idx + 1


class FitTimer(Timer):
    """A timer that counts what a module does before its first step, too."""

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Start it; stop at once where a continued fit has no time left."""
        super().on_train_start(trainer, module)
        super().on_fit_start(trainer, module)

    def on_train_start(self, *_: Any) -> None:
        """Let it run on."""


class CosineToBudget(Callback):
    """Let every optimizer's learning rate fall to ``floor`` of its start by half a cosine over steps or time.

    Whichever of the two budgets is nearer to its end decides, so the rate has fallen when the fit ends.

    Args:
        max_steps: Steps of the whole fit.
        timer: Its clock; a limit of None leaves time out of it.
        warmup: Steps of linear rise at the start.
        floor: Share of the learning rate that is left at the end.
    """

    def __init__(self, max_steps: int, timer: Timer, warmup: int = 0, floor: float = 0.02) -> None:
        self.max_steps, self.timer, self.warmup, self.floor = max_steps, timer, warmup, floor

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Set the rate for the step that begins."""
        step = steps_done(trainer) - 1
        left = self.timer.time_remaining()
        clock = 0.0 if left is None else 1 - left / max(left + self.timer.time_elapsed(), 1e-9)
        # Processes that share a batch have one rate, though their clocks differ.
        share = trainer.strategy.broadcast(min(1.0, max(step / self.max_steps, clock)))
        scale = self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * share))
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])
                group["lr"] = group["initial_lr"] * scale * min(1.0, (step + 1) / (self.warmup + 1))


class StepLimit(Callback):
    """End a fit after so many steps, within an epoch if need be.

    The Trainer's own ``max_steps`` loses count where a fit goes on from a checkpoint within an epoch.

    Args:
        max_steps: How many.
    """

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop if it was the last."""
        trainer.should_stop = trainer.should_stop or steps_done(trainer) >= self.max_steps


class MonitorHistory(Callback):
    """Record the monitored value at each validation, and the steps done; saved with the checkpoint.

    Args:
        monitor: Name of the logged value.
        key: Where the config says so.
    """

    def __init__(self, monitor: str, key: str = "monitor") -> None:
        self.monitor, self.key, self.values, self.steps = monitor, key, dict[int, float](), 0

    def best(self, sign: int) -> int:
        """The earliest step of the best value; ``sign`` +1 if more is better."""
        return max(self.values, key=lambda step: (sign * self.values[step], -step))

    def on_validation_end(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        """Note the value.

        Raises:
            ConfigError: If nothing of that name is logged.
        """
        logged = trainer.callback_metrics
        if self.monitor not in logged:
            known = "a logged value: " + ", ".join(sorted(name for name in logged if name.startswith("val/")))
            raise ConfigError(self.key, found=self.monitor, expected=known, hint="correct its name")
        self.values[steps_done(trainer)] = float(logged[self.monitor])

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Note the step."""
        self.steps = steps_done(trainer)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"steps": self.steps, "values": dict(self.values)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue a record."""
        self.steps, self.values = state_dict["steps"], dict(state_dict["values"])


class StepBar(Callback):
    """A progress bar over steps, with the loss and the monitored value.

    Args:
        title: What is being fitted.
        total: Steps of the whole fit.
        timer: Its clock, for budgets in time.
        monitor: Name of the logged value to show.
    """

    def __init__(self, title: str, total: int, timer: Timer, monitor: str) -> None:
        self.title, self.total, self.timer, self.monitor = title, total, timer, monitor
        self._stack = ExitStack()
        self._bar: Bar | None = None

    def on_train_start(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        """Open the bar, at the place where a continued run stands."""
        if trainer.is_global_zero:
            self._bar = self._stack.enter_context(bar(self.title, self.total))
            self._bar.skip(steps_done(trainer) - 1)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """One step further."""
        if self._bar is not None:
            metrics = trainer.callback_metrics
            shown = [name for name in ("train/loss", self.monitor) if name in metrics]
            left = self.timer.time_remaining()
            clock = [] if left is None else [f"{left:.0f} s left at most"]
            self._bar.advance("  ".join([f"{name} {float(metrics[name]):.3f}" for name in shown] + clock))

    def on_train_end(self, *_: Any) -> None:
        """Close the bar."""
        self._stack.close()

    def on_exception(self, *_: Any) -> None:
        """Close the bar."""
        self._stack.close()
