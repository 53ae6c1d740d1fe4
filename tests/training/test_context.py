"""The context of a training: limits in words, and the user's callbacks as copies."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer

from dreaming.training.context import FitLimits, TrainingContext


def test_limits_in_words():
    assert str(FitLimits(40)) == "40 steps"
    assert "40 steps" in str(FitLimits(40, 8.6))
    assert "9 s" in str(FitLimits(40, 8.6))


def test_callbacks_are_copied_or_made_and_none_is_left_out():
    timer = Timer()
    context = TrainingContext(pl.Trainer, user_callbacks={"a": timer, "b": None, "c": Timer})
    first, second = context.build_callbacks(), context.build_callbacks()
    assert [type(each) for each in first] == [Timer, Timer]
    assert len({id(each) for each in (timer, *first, *second)}) == 5
