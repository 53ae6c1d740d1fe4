"""The process that paints: it answers pictures, takes the style of the next training, and reports errors."""

import json
import os
import subprocess

import numpy as np
import pytest
from live_training import live_stage

from dreaming.live.choice import NAME
from dreaming.live.messages import HEADER, from_picture, is_picture, read_message, to_picture
from dreaming.live.process import PAINTER
from dreaming.live.style import LiveStyle
from dreaming.training.run_registry import pointer_to_best


@pytest.mark.slow
def test_pictures_are_painted_until_the_style_is_gone(disc_clip):
    clip = disc_clip(masks=()).clip
    live_stage().run(clip)
    expected = LiveStyle(clip, "painted")
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    process = subprocess.Popen(
        [*PAINTER, str(clip.path), "painted"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )

    def send():
        process.stdin.write(to_picture(image))

    def text():
        return json.loads(read_message(process.stdout)[HEADER.size :])

    assert text() == {"state": "ready"}
    send()
    assert np.array_equal(from_picture(read_message(process.stdout)), expected.stylise(image))
    pointer = pointer_to_best(clip.runs(NAME), "painted")
    os.utime(pointer, (1, 1))
    send()
    assert text() == {"state": "replaced"}
    assert is_picture(read_message(process.stdout))
    pointer.unlink()
    send()
    assert list(text()) == ["error"]
    assert process.wait() == 0
