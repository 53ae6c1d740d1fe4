"""Reporting a trial's course to the study, and ending it when the pruner finds it hopeless.

A trial may consist of several fits: one for each fold of each part. All trials go through the same fits in the same
order, so what is reported after the same share of them is comparable: the mean of the best monitored values of the
fits that ended, and of the one that runs as far as it got: with its full weight from its first validation on, a trial
whose fold ended early would seem half as good to a pruner as one that is a validation behind. The share is counted in
percent of all fits' budgets, of steps or time, whichever is further; a fit that ended early counts as whole.
"""

import math
from collections.abc import Callable
from statistics import fmean

import optuna
import pytorch_lightning as pl
from optuna.trial import Trial
from pytorch_lightning.callbacks import Callback, Timer

from dreaming.sweep.trial import PRUNED, REACHED
from dreaming.training.callbacks import steps_done


class TrialProgress:
    """How a trial does, over all its fits.

    Args:
        trial: The trial.
        monitor: Name of the logged value.
        sign: +1 where more of it is better, -1 where less is.
        prunes: Whether the study can be asked; with several objectives it cannot.
        log: Gets each reported value and its percent too.

    Attributes:
        best: The best of the reported values; the last is worse where the next fold begins worse than those before.
    """

    def __init__(
        self, trial: Trial, monitor: str, sign: int, *, prunes: bool = True, log: Callable[[float, int], None]
    ) -> None:
        self.trial, self.monitor, self.sign, self.prunes, self.log = trial, monitor, sign, prunes, log
        self.bests: dict[int, float] = {}
        self.percent, self.share, self.best = 0, 0.0, -sign * math.inf

    @property
    def value(self) -> float:
        """Mean of the best values of all fits begun, of the last one as far as it got."""
        last = max(self.bests)
        return fmean(self.bests.values(), [self.share if fit == last else 1.0 for fit in self.bests])

    def report(self, fit: int, count: int, share: float, value: float) -> bool:
        """Take note of a validation; return whether the trial should end.

        Args:
            fit: Which fit it is, from 0.
            count: How many there are.
            share: Share of this fit's budget that is behind, above 0.
            value: The monitored value.
        """
        self.bests[fit] = self._better(self.bests.get(fit, value), value)
        self.share = min(1.0, share)
        percent = int(100 * (fit + self.share) / count)
        if not self.prunes or percent <= self.percent:
            return False
        self.percent = percent
        self.best = self._better(self.best, self.value)
        self.trial.report(self.value, percent)
        self.log(self.value, percent)
        # One that has come to its end is worth more finished than pruned.
        return percent < 100 and self.trial.should_prune()

    def _better(self, one: float, other: float) -> float:
        return max(one, other) if self.sign > 0 else min(one, other)


class Pruning(Callback):
    """Report each validation of one fit on one device, and end the trial when the pruner says so.

    Args:
        course: The trial's course, shared by its fits.
        index: Which of the trial's fits this is, from 0.
        count: How many there are.
        max_steps: Steps of the whole fit.
    """

    def __init__(self, course: TrialProgress, index: int, count: int, max_steps: int) -> None:
        self.course, self.index, self.count, self.max_steps = course, index, count, max_steps

    def on_validation_end(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        """Report.

        Raises:
            TrialPruned: If the trial should end; Lightning passes it on to whoever fits.
        """
        share = max(steps_done(trainer) / self.max_steps, _share_of_time(trainer))
        value = float(trainer.callback_metrics[self.course.monitor])
        if self.course.report(self.index, self.count, share, value):
            self.course.trial.set_user_attr(REACHED, self.course.best)
            self.course.trial.set_user_attr(PRUNED, value=True)
            raise optuna.TrialPruned


def _share_of_time(trainer: pl.Trainer) -> float:
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timer):
            left = callback.time_remaining()
            return 0.0 if left is None else 1 - left / max(left + callback.time_elapsed(), 1e-9)
    return 0.0
