"""Masks kept on disk: whoever wants the same ones waits for them, and nobody else does."""

import threading
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from dreaming.maskers.base import FrameMasker
from dreaming.maskers.prediction_cache import PredictionCache

PATIENCE = 5
"""Seconds for which the one that is slow lets itself be waited for."""


@dataclass
class Even(FrameMasker):
    """The same probability everywhere; the first one that is fitted halts until it is told to go on."""

    level: float
    begun: ClassVar[threading.Event]
    go_on: ClassVar[threading.Event]
    fits: ClassVar[list[float]]

    def fit(self, clip, references):
        self.fits.append(self.level)
        if len(self.fits) == 1:
            self.begun.set()
            self.go_on.wait(PATIENCE)
        return self

    def predict_frame(self, image):
        return np.full(image.shape[:2], self.level, np.float32)


@pytest.fixture
def one_at_work(disc_clip):
    """What remembers a masker of some level, while another thread is at work on one of 0.2."""
    Even.begun, Even.go_on, Even.fits = threading.Event(), threading.Event(), []
    clip = disc_clip().clip
    refs = clip.references("subject", clip.split("subject").nn)

    def remembered(level, left_out=None):
        return PredictionCache(clip, "even", Even(level), refs, left_out and refs.select([left_out]))

    slow = threading.Thread(target=remembered(0.2).complete, args=(["0001"],))
    slow.start()
    assert Even.begun.wait(PATIENCE)
    yield remembered
    Even.go_on.set()
    slow.join()


def test_masks_of_another_config_are_not_waited_for(one_at_work):
    assert one_at_work(0.8).complete(["0001"]).stems == ["0001"]
    assert one_at_work(0.2, "0004").complete(["0001"]).stems == ["0001"]
    assert Even.fits == [0.2, 0.8, 0.2]
    assert not one_at_work(0.2)._place()[1].path.exists(), "it has waited for the other one"


def test_the_same_masks_are_waited_for_and_not_made_again(one_at_work, caplog):
    caplog.set_level("INFO")
    threading.Timer(0.2, Even.go_on.set).start()
    assert one_at_work(0.2).complete(["0001"]).stems == ["0001"]
    assert Even.fits == [0.2]
    assert "even: waiting for another process that makes its masks" in caplog.text
