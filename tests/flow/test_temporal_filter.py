"""Temporal filters against a plain loop, and against the reference output if it is available."""

import math

import numpy as np
import pytest

from dreaming.clip.shots import Shots
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow
from dreaming.flow.temporal_filter import BilateralFilter, MaskSmoothing, TemporalBlending, bilateral_mean
from dreaming.flow.temporal_window import Neighbour, TemporalWindow, iter_windows

COUNT, SIZE = 6, (12, 14)


class GivenFlow:
    """Flow that is given: (N, H, W, 2), from each frame to the next and to the one before."""

    def __init__(self, to_next, to_previous):
        self.to_next, self.to_previous = to_next, to_previous

    def both_ways(self, start, end):
        return self.to_next[int(start)], self.to_previous[int(end)]


@pytest.fixture
def moving():
    """Random frames, and random smooth flow in sixteenths of a pixel, which OpenCV samples without rounding."""
    rng = np.random.default_rng(3)
    frames = rng.integers(0, 256, (COUNT, *SIZE, 3)).astype(np.uint8)
    flows = [np.rint(rng.normal(0, 1, (COUNT, 1, 1, 2)) * 16) / 16 + np.zeros((*SIZE, 2)) for _ in range(2)]
    return frames, [flow.astype(np.float32) for flow in flows]


def sampled(picture, x, y):
    """Bilinear, clamped at the border, one pixel at a time."""
    x0, y0 = math.floor(x), math.floor(y)
    total = 0.0
    for row, column, weight in (
        (y0, x0, (1 - x + x0) * (1 - y + y0)),
        (y0, x0 + 1, (x - x0) * (1 - y + y0)),
        (y0 + 1, x0, (1 - x + x0) * (y - y0)),
        (y0 + 1, x0 + 1, (x - x0) * (y - y0)),
    ):
        inside = np.clip(row, 0, SIZE[0] - 1), np.clip(column, 0, SIZE[1] - 1)
        total = total + weight * picture[inside].astype(float)
    return total


def positions(flows, frame, x, y, radius):
    """Positions of a pixel in the neighbouring frames: (frame, steps away, x, y)."""
    to_next, to_previous = flows
    for step, flow in ((1, to_next), (-1, to_previous)):
        at, here = frame, (float(x), float(y))
        for steps in range(1, radius + 1):
            if not 0 <= at + step < COUNT:
                break
            dx, dy = sampled(flow[at], *here)
            at, here = at + step, (here[0] + dx, here[1] + dy)
            yield at, steps, *here


def test_the_bilateral_filter_equals_a_plain_loop(moving):
    frames, flows = moving
    names = [str(index) for index in range(COUNT)]
    for window in iter_windows(
        Shots(names), ["0", "3"], 2, lambda wanted: ((n, frames[int(n)]) for n in wanted), GivenFlow(*flows)
    ):
        expected, frame = np.zeros((*SIZE, 3)), int(window.stem)
        for y, x in np.ndindex(SIZE):
            centre = frames[frame, y, x].astype(float)
            total, weights = centre.copy(), 1.0
            for at, steps, u, v in positions(flows, frame, x, y, 2):
                colour = sampled(frames[at], u, v)
                weight = math.exp(-(steps**2) / (2 * 1.5**2) - np.square(colour - centre).sum() / (2 * 90.0**2))
                total, weights = total + weight * colour, weights + weight
            expected[y, x] = total / weights
        assert np.abs(bilateral_mean(window, 1.5, 90.0) - expected).max() < 1.5


def test_the_bilateral_filter_equals_the_reference(shared):
    given = np.load(shared / "data/reference/bilateral.npz")
    frames = given["frames"]
    names = [str(index) for index in range(len(frames))]
    flows = GivenFlow(given["to_next"], given["to_previous"])
    for window in iter_windows(Shots(names), names, 15, lambda wanted: ((n, frames[int(n)]) for n in wanted), flows):
        difference = np.abs(
            bilateral_mean(window, 5, math.sqrt(3) * 255 / 16).astype(int) - given[f"intended_{int(window.stem):02d}"]
        )
        assert (difference <= 2).mean() >= 0.999, window.stem


def test_a_still_scene_loses_its_noise_and_keeps_its_edges(disc_clip):
    drawing = disc_clip(count=7, size=(48, 64), masks=(), keyframes=())
    rng = np.random.default_rng(1)
    scene = np.where(np.indices((48, 64))[1][..., None] < 32, [220, 60, 40], [30, 60, 160])
    for stem in drawing.stems:
        drawing.save(f"frames/{stem}.png", np.clip(scene + rng.normal(0, 6, scene.shape), 0, 255).astype(np.uint8))
    clip = drawing.clip
    flows = FlowCache(clip, DisFlow())
    flows.complete()
    found = dict(BilateralFilter(radius=3, workers=1).filter(clip, flows, clip.stems))
    assert list(found) == clip.stems
    before, after = (np.std(frame.astype(int) - scene) for frame in (clip.frames.read("0004"), found["0004"]))
    assert after < 0.6 * before
    ((_, alone),) = BilateralFilter(radius=3).filter(clip, flows, ["0004"])
    np.testing.assert_array_equal(alone, found["0004"])


def masks(count=COUNT):
    return np.random.default_rng(8).random((count, *SIZE)).astype(np.float32)


@pytest.mark.parametrize("along_flow", [False, True])
def test_mask_smoothing_equals_the_plain_weighted_mean(moving, along_flow):
    _, flows = moving
    if not along_flow:
        flows = [np.zeros_like(flow) for flow in flows]
    given, names = masks(), [str(index) for index in range(COUNT)]
    smoothing = MaskSmoothing(DisFlow(), sigma=1.3, radius=2, along_flow=along_flow)
    motion = GivenFlow(*flows) if along_flow else None
    for window in iter_windows(Shots(names), names, 2, lambda wanted: ((n, given[int(n)]) for n in wanted), motion):
        frame, expected = int(window.stem), np.zeros(SIZE)
        for y, x in np.ndindex(SIZE):
            values, weights = [given[frame, y, x]], [1.0]
            for at, steps, u, v in positions(flows, frame, x, y, 2):
                values.append(sampled(given[at], u, v))
                weights.append(math.exp(-(steps**2) / (2 * 1.3**2)))
            expected[y, x] = np.dot(values, weights) / np.sum(weights)
        found = smoothing.mean(window)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_constant_mask_stays_constant_at_the_ends(disc_clip):
    clip = disc_clip(count=5, masks=(), keyframes=()).clip
    for along_flow in (True, False):
        smoothing = MaskSmoothing(DisFlow(), sigma=5.0, along_flow=along_flow, workers=1)
        asked = []

        def predict(stems, asked=asked):
            asked.extend(stems)
            return ((stem, np.full(clip.size, 0.25, np.float32)) for stem in stems)

        found = dict(smoothing.smooth(clip, predict, ["0001", "0005"]))
        assert asked == clip.stems
        assert list(found) == ["0001", "0005"]
        for mask in found.values():
            np.testing.assert_allclose(mask, 0.25, rtol=1e-6)


def test_a_single_frame_is_not_smoothed(disc_clip):
    clip = disc_clip(count=1, masks=(), keyframes=()).clip
    mask = np.eye(*clip.size, dtype=np.float32)
    ((_, found),) = MaskSmoothing(DisFlow(), sigma=5.0).smooth(clip, lambda stems: [(stems[0], mask)], clip.stems)
    np.testing.assert_array_equal(found, mask)


SMALL = (6, 7)


def neighbour(picture, dx, dy):
    """A picture whose pixels moved by whole pixels, which are sampled without rounding."""
    return Neighbour("", picture, np.full((*SMALL, 2), (dx, dy), np.float32))


def test_blending_equals_a_plain_mean_weighted_by_source_similarity():
    rng = np.random.default_rng(4)
    centre, before, after, second = rng.integers(90, 130, (4, *SMALL, 6)).astype(np.uint8)
    window = TemporalWindow(
        "1", centre, ([neighbour(before, 1, 0)], [neighbour(after, 0, -1), neighbour(second, 1, 1)])
    )
    found = bilateral_mean(window, 1.3, 15.0)
    assert found.dtype == np.uint8
    for y, x in np.ndindex(SMALL):
        total, weights = centre[y, x, 3:].astype(float), 1.0
        # The second one after the centre is reached by both flows, one after the other.
        for picture, steps, (dx, dy) in ((before, 1, (1, 0)), (after, 1, (0, -1)), (second, 2, (1, 0))):
            there = picture[np.clip(y + dy, 0, SMALL[0] - 1), np.clip(x + dx, 0, SMALL[1] - 1)].astype(float)
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


def test_nothing_is_smoothed_across_cuts(cut_clip, alone):
    drawing = cut_clip()
    clip, shot = drawing.clip, alone(drawing, 1)
    for filtered in (
        lambda clip: BilateralFilter(radius=3, workers=1).filter(clip, FlowCache(clip, DisFlow()), clip.stems),
        lambda clip: MaskSmoothing(DisFlow(), sigma=2.0).smooth(
            clip, lambda names: ((name, drawing.truth[name].astype(np.float32)) for name in names), clip.stems
        ),
        lambda clip: TemporalBlending(DisFlow(), sigma=1.0, radius=2).blend(
            clip, clip.frames, clip.frames.read_ahead, clip.stems
        ),
    ):
        found = dict(filtered(clip))
        for stem, picture in filtered(shot):
            np.testing.assert_array_equal(found[stem], picture, err_msg=stem)
