"""What a frame takes a masker: of how many frames, and of which run."""

import time
from dataclasses import dataclass

import numpy as np
import pytest

from dreaming.maskers.base import Masker
from dreaming.sweep.speed import REPEATS, masker_seconds_a_frame

PAUSE = 0.02


@dataclass
class Slow(Masker):
    """Takes its time for each frame, and longer for what it will remember."""

    def fit(self, clip, references):
        self.asked = []
        time.sleep(10 * PAUSE)
        return self

    def predict(self, clip, stems):
        self.asked.append(list(stems))
        if len(self.asked) == 1:
            time.sleep(10 * PAUSE)
        for stem in stems:
            time.sleep(PAUSE)
            yield stem, np.zeros(clip.size, np.float32)


@pytest.mark.parametrize(
    ("masks", "stems"), [((1, 4, 8), ["0002", "0003"]), ((2, 3, 8), ["0004", "0005", "0006", "0007"])]
)
def test_the_shortest_run_between_hand_masks_is_timed_after_the_fit(disc_clip, masks, stems):
    masker = Slow()
    seconds = masker_seconds_a_frame(masker, disc_clip(masks=masks).clip)
    assert masker.asked == [stems] * REPEATS
    assert seconds >= PAUSE


def test_without_a_run_between_hand_masks_all_frames_are_timed(disc_clip):
    masker = Slow()
    masker_seconds_a_frame(masker, disc_clip(count=3, masks=(1, 2, 3)).clip)
    assert masker.asked == [["0001", "0002", "0003"]] * REPEATS
