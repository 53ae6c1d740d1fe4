"""Flicker and areas of masks and stylised frames of a clip that does not move."""

import numpy as np
import pytest

from dreaming.flow.dis import DisFlow
from dreaming.io.frame_folder import FrameFolder
from dreaming.stages.scores.stability import mask_stability, styled_flicker


@pytest.fixture
def drawing(disc_clip):
    made = disc_clip(count=3, masks=(), keyframes=())
    for stem in made.stems:
        made.save(f"frames/{stem}.png", made.images["0001"])
    return made


def test_masks_that_jump_flicker_and_have_areas(drawing):
    halves = np.zeros((32, 48), bool)
    halves[:16] = True
    for stem, mask in zip(drawing.stems, (halves, ~halves, np.ones_like(halves)), strict=True):
        drawing.save(f"made/{stem}.png", mask)
    jumping, areas = mask_stability(drawing.clip, FrameFolder(drawing.path / "made"), DisFlow())
    assert areas == {"0001": 0.5, "0002": 0.5, "0003": 1.0}
    for stem in drawing.stems:
        drawing.save(f"still/{stem}.png", halves)
    still, _ = mask_stability(drawing.clip, FrameFolder(drawing.path / "still"), DisFlow())
    assert still == 0 < jumping


def test_masks_that_have_not_changed_are_not_read_again(drawing, monkeypatch):
    half = np.arange(48) < np.full((32, 1), 24)
    for stem in drawing.stems:
        drawing.save(f"made/{stem}.png", half)
    masks = FrameFolder(drawing.path / "made")
    before = mask_stability(drawing.clip, masks, DisFlow())
    with monkeypatch.context() as patched:
        patched.delattr(FrameFolder, "read_mask")
        assert mask_stability(drawing.clip, masks, DisFlow()) == before
    drawing.save("made/0002.png", ~half)
    assert mask_stability(drawing.clip, masks, DisFlow()) != before


def test_stylised_frames_flicker_by_their_difference_and_frames_that_stand_still_do_not(drawing):
    for stem, level in zip(drawing.stems, (100, 110, 130), strict=True):
        drawing.save(f"styled/{stem}.png", np.full((32, 48, 3), level, np.uint8))
    styled = FrameFolder(drawing.path / "styled")
    assert styled_flicker(drawing.clip, styled, DisFlow()) == (pytest.approx(15), 0)
    (drawing.path / "styled/0002.png").unlink()
    assert styled_flicker(drawing.clip, FrameFolder(styled.path), DisFlow()) == (0, 0), "no two neighbours"


def test_a_cut_is_no_flicker(cut_clip, alone):
    drawing = cut_clip()
    clip = drawing.clip
    _, flicker = styled_flicker(clip, clip.frames, DisFlow())
    shots = [styled_flicker(each, each.frames, DisFlow())[1] for each in (alone(drawing, 0), alone(drawing, 1))]
    assert flicker == pytest.approx(np.mean(shots))
