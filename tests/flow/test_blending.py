"""Temporal blending against a plain loop, and its effect on flicker and on frames that differ."""

import math

import numpy as np
import pytest

from dreaming.flow.blending import TemporalBlending
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import bilateral_mean
from dreaming.flow.temporal_window import Neighbour, TemporalWindow

SIZE = (6, 7)


def neighbour(picture, dx, dy):
    """A picture whose pixels moved by whole pixels, which are sampled without rounding."""
    return Neighbour("", picture, np.full((*SIZE, 2), (dx, dy), np.float32))


def test_blending_equals_a_plain_mean_weighted_by_source_similarity():
    rng = np.random.default_rng(4)
    centre, before, after, second = rng.integers(90, 130, (4, *SIZE, 6)).astype(np.uint8)
    window = TemporalWindow(
        "1", centre, ([neighbour(before, 1, 0)], [neighbour(after, 0, -1), neighbour(second, 1, 1)])
    )
    found = bilateral_mean(window, 1.3, 15.0)
    assert found.dtype == np.uint8
    for y, x in np.ndindex(SIZE):
        total, weights = centre[y, x, 3:].astype(float), 1.0
        # The second one after the centre is reached by both flows, one after the other.
        for picture, steps, (dx, dy) in ((before, 1, (1, 0)), (after, 1, (0, -1)), (second, 2, (1, 0))):
            there = picture[np.clip(y + dy, 0, SIZE[0] - 1), np.clip(x + dx, 0, SIZE[1] - 1)].astype(float)
            apart = np.square(there[:3] - centre[y, x, :3]).sum()
            weight = math.exp(-(steps**2) / (2 * 1.3**2) - apart / (2 * 15.0**2))
            total, weights = total + weight * there[3:], weights + weight
        np.testing.assert_allclose(found[y, x], total / weights, atol=0.51)


def flickering(stem):
    return np.full((32, 48, 3), 100 + 40 * (int(stem) % 2), np.uint8)


def blended(blending, clip, stems):
    """Blend a flickering style; return the blended frames and the names of the stylised ones."""
    asked = []

    def stylise(names):
        asked.extend(names)
        return ((stem, flickering(stem)) for stem in names)

    return dict(blending.blend(clip, clip.frames, stylise, stems)), asked


def test_flicker_decreases_and_a_frame_does_not_depend_on_the_others_requested(disc_clip, caplog):
    clip = disc_clip(masks=(), keyframes=()).clip
    blending = TemporalBlending(DisFlow(), sigma=1.0, radius=2, colour_sigma=60.0, workers=1)
    few, _ = blended(blending, clip, ["0002"])
    assert [path.stem for path in sorted(clip.path.glob("flow/*.png"))] == ["0001", "0002", "0003"]
    assert not caplog.text, "no flow is missing"
    found, asked = blended(blending, clip, clip.stems)
    assert asked == clip.stems
    steps = [np.abs(found[b].astype(int) - found[a]).mean() for a, b in zip(clip.stems, clip.stems[1:], strict=False)]
    assert max(steps) < 0.6 * 40
    alone, asked = blended(blending, clip, ["0005"])
    assert asked == ["0003", "0004", "0005", "0006", "0007"]
    np.testing.assert_array_equal(alone["0005"], found["0005"])
    np.testing.assert_array_equal(few["0002"], found["0002"])


def test_frames_unlike_their_neighbours_keep_their_own_strokes(disc_clip):
    drawing = disc_clip(masks=(), keyframes=())
    for stem in drawing.stems[::2]:
        drawing.save(f"frames/{stem}.png", 255 - drawing.images[stem])
    found, _ = blended(TemporalBlending(DisFlow(), sigma=1.0, radius=1), drawing.clip, drawing.stems)
    for stem, made in found.items():
        np.testing.assert_array_equal(made, flickering(stem))


@pytest.mark.parametrize("count", [1, 8])
def test_without_sigma_or_neighbours_frames_are_unchanged(disc_clip, count):
    clip = disc_clip(count=count, masks=(), keyframes=()).clip
    found, asked = blended(TemporalBlending(DisFlow(), sigma=None if count > 1 else 1.0), clip, ["0001"])
    assert asked == ["0001"]
    np.testing.assert_array_equal(found["0001"], flickering("0001"))
