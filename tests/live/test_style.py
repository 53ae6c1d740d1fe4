"""A trained style paints single frames of any size, and notices the next training."""

import os

import numpy as np
import pytest
import torch
from live_training import live_stage

from dreaming.errors import CheckpointError
from dreaming.guides.edges import EdgeGuide
from dreaming.live.choice import NAME, find_style
from dreaming.live.style import LiveStyle
from dreaming.models.style import StyleModule
from dreaming.training.checkpoints import rebuild
from dreaming.training.run_registry import pointer_to_best


def test_single_frames_are_painted_with_their_guides(disc_clip):
    clip = disc_clip(masks=()).clip
    live_stage(guides={"edges": EdgeGuide()}).run(clip)
    style = LiveStyle(clip, "painted")
    image = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    painted = style.stylise(image)
    assert (painted.shape, painted.dtype) == (image.shape, np.uint8)
    frame = np.dstack([image, EdgeGuide().draw_image(image)])
    best = find_style(clip, "painted")
    module = rebuild(StyleModule, best.weights)
    expected = module.stylise(torch.from_numpy(frame).permute(2, 0, 1)[None] / 127.5 - 1)
    assert np.abs(painted - (expected[0].permute(1, 2, 0).numpy() + 1) * 127.5).max() < 2
    assert not style.is_outdated
    pointer = pointer_to_best(clip.runs(NAME), "painted")
    os.utime(pointer, (1, 1))
    assert style.is_outdated
    best.weights.write_bytes(best.weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError):
        LiveStyle(clip, "painted")
