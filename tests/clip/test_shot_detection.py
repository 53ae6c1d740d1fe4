"""Cuts between drawn scenes, and what is no cut."""

import itertools
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest

from dreaming.clip.shot_detection import ReducedFrame, find_cuts
from dreaming.io.frame_folder import FrameFolder

DAVIS = Path(__file__).resolve().parents[3] / "shared/data/davis"
SIZE = (48, 84)


def scene(seed, count=8, speed=2):
    """Frames of a camera that pans over a random landscape of one hue."""
    rng = np.random.default_rng(seed)
    wide = (SIZE[0], SIZE[1] + speed * count)
    noise = sum(cv2.resize(rng.random((h, 2 * h), dtype=np.float32), wide[::-1]) for h in (4, 8, 16)) / 3
    land = (noise[..., None] * rng.uniform(60, 255, 3)).astype(np.uint8)
    return [land[:, speed * index : speed * index + SIZE[1]] for index in range(count)]


def cuts(frames):
    return find_cuts([ReducedFrame.of(np.ascontiguousarray(frame)) for frame in frames])


def brighter(frame, gain):
    return np.clip(frame * gain, 0, 255).astype(np.uint8)


def test_every_cut_between_scenes_is_found():
    assert cuts(scene(1) + scene(2, 3) + scene(3)) == [8, 11]


def test_few_frames_are_in_memory_at_once():
    alive, most = weakref.WeakSet(), []

    def frames():
        for image in scene(1, 20) + scene(2, 20):
            frame = ReducedFrame.of(np.ascontiguousarray(image))
            alive.add(frame)
            most.append(len(alive))
            yield frame

    assert find_cuts(frames()) == [20]
    assert max(most) <= 12


def test_a_cut_after_the_first_and_before_the_last_frame_is_found():
    assert cuts(scene(1, 1) + scene(2) + scene(3, 1)) == [1, 9]


def test_a_cut_through_black_belongs_to_the_next_visible_frame():
    assert cuts([*scene(1), *[np.zeros((*SIZE, 3), np.uint8)] * 2, *scene(2)]) == [10]


def fade(frames):
    return [brighter(frame, 1 - index / len(frames)) for index, frame in enumerate(frames)]


def flash(frames):
    return [brighter(frame, 2) + np.uint8(20) if index == 4 else frame for index, frame in enumerate(frames)]


@pytest.mark.parametrize(
    "change",
    [
        fade,
        flash,
        lambda frames: fade(frames)[::-1],
        lambda frames: [brighter(frame, 1.35 if index > 3 else 1) for index, frame in enumerate(frames)],
        lambda frames: [np.full_like(frame, 255) if index == 4 else frame for index, frame in enumerate(frames)],
        lambda frames: [cv2.blur(frame, (9, 1)) if index % 2 else frame for index, frame in enumerate(frames)],
        lambda frames: frames[::3],
    ],
    ids=["fade out", "flash", "fade in", "exposure", "white frame", "motion blur", "fast"],
)
def test_changes_within_a_scene_are_no_cuts(change):
    assert cuts(change(scene(1, 9))) == []


def test_frames_that_all_differ_are_one_shot():
    rng = np.random.default_rng(0)
    assert cuts(list(rng.integers(0, 256, (8, *SIZE, 3), np.uint8))) == []


@pytest.mark.slow
@pytest.mark.skipif(not DAVIS.is_dir(), reason="needs the shared data")
def test_two_sequences_cut_together_are_separated():
    frames = {}
    for folder in sorted(DAVIS.iterdir()):
        frames[folder.name] = [ReducedFrame.of(image) for _, image in FrameFolder(folder / "frames").read_ahead()]
        assert find_cuts(frames[folder.name]) == [], folder.name
    for one, other in itertools.permutations(frames, 2):
        assert find_cuts(frames[one][-8:] + frames[other][:8]) == [8], (one, other)
