"""Report the progress of a trial to the study, and end the trial if the pruner decides so.

A trial may consist of several fits: one for each cross-validation fold of each part. All trials run the same fits in
the same order, so values reported at the same percentage are comparable. The reported value is the mean of the best
monitored values of all fits so far. The running fit is weighted by its progress: with full weight from its first
validation on, a trial whose fold stopped early would look half as good as one that is a validation behind. The
percentage counts steps or time of all fits, whichever is further; a fit that stopped early counts as complete.
"""

import math
from collections.abc import Callable
from statistics import fmean

import optuna
import pytorch_lightning as pl
from optuna.trial import Trial
from pytorch_lightning.callbacks import Callback

from dreaming.sweep.trial import BEST_VALUE, PRUNED
from dreaming.training.callbacks import FitTimer, find_callbacks, share_of_time, steps_done


class TrialProgress:
    """The monitored value of a trial over all its fits.

    It is reported to the study if ``prunes``, because Optuna prunes single-objective studies only, and passed to
    ``log`` with its percentage. ``share`` is the progress of the running fit, 0 to 1. ``best`` is the best reported
    value; the last one may be worse, because a new fold starts low.
    """

    def __init__(
        self, trial: Trial, monitor: str, sign: int, *, prunes: bool = True, log: Callable[[float, int], None]
    ) -> None:
        self.trial, self.monitor, self.sign, self.prunes, self.log = trial, monitor, sign, prunes, log
        self.best_by_fit: dict[int, float] = {}
        self.percent, self.share, self.best = 0, 0.0, -sign * math.inf

    @property
    def value(self) -> float:
        """Mean of the best values of all fits, the running fit weighted by its progress."""
        last = max(self.best_by_fit)
        return fmean(self.best_by_fit.values(), [self.share if fit == last else 1.0 for fit in self.best_by_fit])

    def report(self, fit: int, count: int, share: float, value: float) -> bool:
        """Add a validation of fit ``fit`` of ``count``, at its progress ``share``; return whether to end the trial."""
        self.best_by_fit[fit] = self._better(self.best_by_fit.get(fit, value), value)
        self.share = min(1.0, share)
        percent = int(100 * (fit + self.share) / count)
        if not self.prunes or percent <= self.percent:
            return False
        self.percent = percent
        self.best = self._better(self.best, self.value)
        self.trial.report(self.value, percent)
        self.log(self.value, percent)
        # At its end a trial is not pruned: that would save nothing, and a complete result is more useful.
        return percent < 100 and self.trial.should_prune()

    def _better(self, one: float, other: float) -> float:
        return max(one, other) if self.sign > 0 else min(one, other)


class PruningCallback(Callback):
    """Report each validation of one fit on one device, and end the trial if the pruner decides so."""

    def __init__(self, progress: TrialProgress, index: int, count: int, max_steps: int) -> None:
        self.progress, self.index, self.count, self.max_steps = progress, index, count, max_steps

    def on_validation_end(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        """Report the validation; ``TrialPruned`` reaches the caller of ``fit`` if the trial should end."""
        timers = find_callbacks(trainer, FitTimer)
        share = max([steps_done(trainer) / self.max_steps, *map(share_of_time, timers)])
        value = float(trainer.callback_metrics[self.progress.monitor])
        if self.progress.report(self.index, self.count, share, value):
            self.progress.trial.set_user_attr(BEST_VALUE, self.progress.best)
            self.progress.trial.set_user_attr(PRUNED, value=True)
            raise optuna.TrialPruned
