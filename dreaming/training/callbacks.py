"""Callbacks of a fit: timer, schedule of the steps, progress bar and history of the monitored value."""

import logging
import math
from contextlib import ExitStack
from typing import Any, ClassVar, TypeVar

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Timer

from dreaming.errors import ConfigError
from dreaming.progress import Bar, bar

log = logging.getLogger(__name__)


C = TypeVar("C", bound=Callback)


def find_callbacks(trainer: pl.Trainer, kind: type[C]) -> list[C]:
    """The callbacks of a trainer that are of a class."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by Lightning, but not declared
    return [each for each in callbacks if isinstance(each, kind)]


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


class StepSchedule(Callback):
    """Lower every learning rate to ``floor`` times its start along half a cosine, and stop after the last step.

    The rate first rises linearly for ``warmup`` steps. It depends on the number of steps alone, so a busy machine takes
    longer and gets the same weights. Only if the timer's limit is too short for ``max_steps`` at the pace of the first
    steps, fewer steps are planned, once; resumed fits keep that number. This is a callback and not a torch scheduler,
    because all processes have to agree on the pace, and because a scheduler that is stepped after a batch cannot count
    what precedes the next one, such as a warm start. The Trainer's own ``max_steps`` miscounts if a fit resumes from a
    checkpoint within an epoch.

    Attributes:
        steps: Number of steps of the whole fit.
    """

    PACE_STEPS: ClassVar[int] = 20
    """Steps by which the pace is measured; fewer if they take a tenth of the time limit."""

    USED: ClassVar[float] = 0.9
    """Share of the remaining time that is planned for steps; validations and a varying pace need the rest."""

    def __init__(self, title: str, max_steps: int, timer: Timer, warmup: int = 0, floor: float = 0.02) -> None:
        self.title, self.steps, self.timer, self.warmup, self.floor = title, max_steps, timer, warmup, floor
        self._start, self._times = (0, 0.0), list[float]()  # step and share of the cosine from which it is stretched
        self._planned = timer.time_remaining() is None

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Set the learning rate of the next step."""
        step = steps_done(trainer) - 1
        if not self._planned:
            # Processes that share a batch need the same rate, although their clocks differ.
            self._planned, fitting = trainer.strategy.broadcast(self._measure(step))
            if fitting < self.steps and trainer.is_global_zero:
                log.info("%s: the time limit allows %d of %d steps", self.title, fitting, self.steps)
            self.end_at(step, fitting)
        scale = self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * self._share(step)))
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])
                group["lr"] = group["initial_lr"] * scale * min(1.0, (step + 1) / (self.warmup + 1))

    def _share(self, step: int) -> float:
        """Share of the cosine before a step, 0..1."""
        begun, share = self._start
        return min(1.0, share + (1 - share) * (step - begun) / max(self.steps - begun, 1))

    def end_at(self, step: int, steps: int) -> None:
        """End the fit after ``steps`` if that is earlier; the learning rate falls until then from its present value."""
        if steps < self.steps:
            self._start, self.steps = (step, self._share(step)), steps

    def _measure(self, step: int) -> tuple[bool, int]:
        """Whether the pace is known, and the number of steps that fit into the time."""
        self._times.append(self.timer.time_elapsed())
        times, left = self._times[1:], self.timer.time_remaining()  # the first step sets up caches
        measured = len(times) - 1
        if left is None or measured < 1:
            return False, self.steps
        passed, limit = times[-1] - times[0], left + times[-1]
        if measured < self.PACE_STEPS and passed < 0.1 * limit:
            return False, self.steps
        return True, step + max(1, int(self.USED * max(left, 0.0) * measured / max(passed, 1e-9)))

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop after the last step, also within an epoch."""
        trainer.should_stop = trainer.should_stop or steps_done(trainer) >= self.steps

    def state_dict(self) -> dict[str, Any]:
        """State for the checkpoint."""
        return {"steps": self.steps, "start": self._start, "planned": self._planned}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.steps, self._start, self._planned = (state_dict[key] for key in ("steps", "start", "planned"))


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


class PlateauStop(Callback):
    """End a fit early if the best of the last ``patience`` values is not better than those before by ``min_gain``.

    The learning rate then falls to its end over ``anneal`` more steps; at 0 the fit ends at once.
    """

    def __init__(
        self, schedule: StepSchedule, history: MonitorHistory, sign: int, patience: int, min_gain: float, anneal: int
    ) -> None:
        self.schedule, self.history, self.sign = schedule, history, sign
        self.patience, self.min_gain, self.anneal = patience, min_gain, anneal

    def on_validation_end(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        """Shorten the schedule at a plateau."""
        if trainer.strategy.broadcast(self._at_plateau()):
            self.schedule.end_at(self.history.steps, self.history.steps + self.anneal)
            trainer.should_stop = trainer.should_stop or self.history.steps >= self.schedule.steps

    def _at_plateau(self) -> bool:
        values = [self.sign * value for value in self.history.values.values()]
        count = len(values) - max(self.patience, 1)
        return count > 0 and max(values[count:]) - max(values[:count]) <= self.min_gain


class StepBar(Callback):
    """A progress bar over the steps of a fit, with the loss, the monitored value and the remaining time."""

    def __init__(self, title: str, schedule: StepSchedule, timer: Timer, monitor: str) -> None:
        self.title, self.schedule, self.timer, self.monitor = title, schedule, timer, monitor
        self._stack = ExitStack()
        self._bar: Bar | None = None

    def on_train_start(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        """Open the bar at the current step."""
        if trainer.is_global_zero:
            self._bar = self._stack.enter_context(bar(self.title, self.schedule.steps))
            self._bar.skip(steps_done(trainer) - 1)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Advance the bar by one step."""
        if self._bar is not None:
            self._bar.resize(self.schedule.steps)
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
