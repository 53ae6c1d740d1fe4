"""Temporal consistency: a mask that moves with the image is consistent, one that jumps is not."""

import cv2
import numpy as np
import pytest

from dreaming.features.temporal_consistency import TemporalConsistency
from dreaming.flow.dis import DisFlow
from dreaming.io.frame_folder import FrameFolder

SHIFT = 3


@pytest.fixture
def drawing(disc_clip):
    """A texture that moves by three pixels a frame."""
    drawn = disc_clip(count=5, size=(64, 96), masks=(1,), keyframes=())
    blocks = np.kron(np.random.default_rng(0).integers(0, 255, (24, 40, 3)), np.ones((4, 4, 1)))
    texture = cv2.GaussianBlur(blocks, (0, 0), 1.5)
    for number, stem in enumerate(drawn.stems):
        left = 60 - SHIFT * number
        drawn.save(f"frames/{stem}.png", texture[:64, left : left + 96].astype(np.uint8))
    return drawn


def maps(drawing, name, left_of):
    folder = FrameFolder(drawing.path / name)
    for number, stem in enumerate(drawing.stems):
        left = left_of(number)
        mask = np.zeros((64, 96), np.float32)
        mask[20:44, left : left + 24] = 1
        folder.write_probability(stem, mask)
    return folder


def test_a_moving_mask_is_consistent_and_a_jumping_one_is_not(drawing):
    moving = maps(drawing, "moving", lambda number: 30 + SHIFT * number)
    jumping = maps(drawing, "jumping", lambda number: 30 + SHIFT * number + 30 * (number == 2))
    found = TemporalConsistency.for_clip(drawing.clip, DisFlow(scale=1.0)).inconsistency([moving, jumping], "0003")
    assert found.shape == (2, 64, 96)
    assert found.dtype == np.uint8
    inside = found[:, 22:42, 40:50] / 255
    assert inside[0].mean() < 0.05
    assert inside[1].mean() > 0.9


def test_only_neighbours_that_show_a_pixel_count(drawing, monkeypatch):
    jumping = maps(drawing, "jumping", lambda number: 30 + SHIFT * number + 30 * (number == 2))
    shown = iter([True, False])
    monkeypatch.setattr(
        "dreaming.features.temporal_consistency.consistent", lambda there, _: np.full(there.shape[:2], next(shown))
    )
    found = TemporalConsistency.for_clip(drawing.clip, DisFlow(scale=1.0)).inconsistency([jumping], "0003")
    assert found[0, 22:42, 40:50].mean() > 0.9 * 255


def test_the_first_frame_is_compared_with_its_one_neighbour(drawing):
    moving = maps(drawing, "moving", lambda number: 30 + SHIFT * number)
    found = TemporalConsistency.for_clip(drawing.clip, DisFlow(scale=1.0)).inconsistency([moving], "0001")
    assert found[0, 22:42, 34:50].mean() < 0.05 * 255
