"""Callbacks of a fit: timer, learning-rate schedule, step limit, progress bar and history of the monitored value."""

import math
from contextlib import ExitStack
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Timer

from dreaming.errors import ConfigError
from dreaming.progress import Bar, bar


def steps_done(trainer: pl.Trainer) -> int:
    """Number of batches trained on so far, however many optimisers step on each."""
    return trainer.fit_loop.epoch_loop.total_batch_idx + 1


class FitTimer(Timer):
    """A timer that includes what a module does before its first step."""

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Start the timer; stop at once if a resumed fit has no time left."""
        super().on_train_start(trainer, module)
        super().on_fit_start(trainer, module)

    def on_train_start(self, *_: Any) -> None:
        """Keep the timer running, which Lightning would restart here."""


def share_of_time(timer: Timer) -> float:
    """Elapsed share of a timer's limit, 0..1; 0 without one."""
    left = timer.time_remaining()
    return 0.0 if left is None else min(1.0, 1 - left / max(left + timer.time_elapsed(), 1e-9))


class CosineToBudget(Callback):
    """Lower every learning rate to ``floor`` times its start along half a cosine over steps or time.

    The limit that is closer to its end decides. The rate first rises linearly for ``warmup`` steps. This is a callback
    and not a torch scheduler, because all processes have to agree on the elapsed time, and because a scheduler that is
    stepped after a batch cannot count what precedes the next one, such as a warm start.
    """

    def __init__(self, max_steps: int, timer: Timer, warmup: int = 0, floor: float = 0.02) -> None:
        self.max_steps, self.timer, self.warmup, self.floor = max_steps, timer, warmup, floor

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Set the learning rate of the next step."""
        step = steps_done(trainer) - 1
        # Processes that share a batch need the same rate, although their clocks differ.
        share = trainer.strategy.broadcast(min(1.0, max(step / self.max_steps, share_of_time(self.timer))))
        scale = self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * share))
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])
                group["lr"] = group["initial_lr"] * scale * min(1.0, (step + 1) / (self.warmup + 1))


class StepLimit(Callback):
    """Stop a fit after a number of steps, also within an epoch.

    The Trainer's own ``max_steps`` miscounts if a fit resumes from a checkpoint within an epoch.
    """

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop after the last step."""
        trainer.should_stop = trainer.should_stop or steps_done(trainer) >= self.max_steps


class MonitorHistory(Callback):
    """Records the monitored value of each validation, and the number of steps; part of every checkpoint.

    ``key`` is the config key of the value's name, for error messages.
    """

    def __init__(self, monitor: str, key: str = "monitor") -> None:
        self.monitor, self.key, self.values, self.steps = monitor, key, dict[int, float](), 0

    def best(self, sign: int) -> int:
        """The earliest step with the best value; ``sign`` is +1 if higher is better, -1 if lower is."""
        return max(self.values, key=lambda step: (sign * self.values[step], -step))

    def on_validation_end(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        """Record the value; ``ConfigError`` if no value of that name is logged."""
        logged = trainer.callback_metrics
        if self.monitor not in logged:
            known = "a logged value: " + ", ".join(sorted(name for name in logged if name.startswith("val/")))
            raise ConfigError(self.key, found=self.monitor, expected=known)
        self.values[steps_done(trainer)] = float(logged[self.monitor])

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Record the number of steps."""
        self.steps = steps_done(trainer)

    def state_dict(self) -> dict[str, Any]:
        """State for the checkpoint."""
        return {"steps": self.steps, "values": dict(self.values)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.steps, self.values = state_dict["steps"], dict(state_dict["values"])


class StepBar(Callback):
    """A progress bar over the ``total`` steps of a fit, with the loss, the monitored value and the remaining time."""

    def __init__(self, title: str, total: int, timer: Timer, monitor: str) -> None:
        self.title, self.total, self.timer, self.monitor = title, total, timer, monitor
        self._stack = ExitStack()
        self._bar: Bar | None = None

    def on_train_start(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        """Open the bar at the current step."""
        if trainer.is_global_zero:
            self._bar = self._stack.enter_context(bar(self.title, self.total))
            self._bar.skip(steps_done(trainer) - 1)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Advance the bar by one step."""
        if self._bar is not None:
            metrics = trainer.callback_metrics
            shown = [name for name in ("train/loss", self.monitor) if name in metrics]
            values = [f"{name.rpartition('/')[2]} {float(metrics[name]):.3f}" for name in shown]
            self._bar.advance(", ".join(values), limit=self.timer.time_remaining())

    def on_train_end(self, *_: Any) -> None:
        """Close the bar."""
        self._stack.close()

    def on_exception(self, *_: Any) -> None:
        """Close the bar."""
        self._stack.close()
