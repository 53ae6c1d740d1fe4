import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dreaming.clip.annotations import Keyframes
from dreaming.data.patches import PatchSource, Shuffle


def keyframes(count=2, height=60, width=80, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, height, width), dtype=bool)
    masks[:, 4:56, 6:76] = True
    draw = lambda *shape: rng.integers(0, 256, shape, dtype=np.uint8)  # noqa: E731
    stems = tuple(f"{10 * k:04}" for k in range(count))
    return Keyframes(stems, draw(count, height, width, channels), draw(count, height, width, 3), masks)


def slow_patch(image, y, x, size):
    """Zero-filled patch (C, size, size) in -1..1, pixel by pixel."""
    patch = np.zeros((image.shape[-1], size, size), dtype=np.float32)
    for row in range(size):
        for column in range(size):
            here = y + row - size // 2, x + column - size // 2
            if 0 <= here[0] < image.shape[0] and 0 <= here[1] < image.shape[1]:
                patch[:, row, column] = image[here] / 127.5 - 1
    return patch


@given(count=st.integers(1, 30), start=st.integers(0, 100), length=st.integers(1, 70), seed=st.integers(0, 9))
def test_draws_are_without_replacement_and_depend_on_their_place_only(count, start, length, seed):
    whole = Shuffle(count, (seed,)).take(0, start + length)
    for first in range(0, len(whole) - count + 1, count):
        assert sorted(whole[first : first + count]) == list(range(count))
    np.testing.assert_array_equal(Shuffle(count, (seed,)).take(start, length), whole[start:])


def test_passes_and_seeds_differ():
    stream = Shuffle(50, (1, 0)).take(0, 100)
    assert list(stream[:50]) != list(stream[50:])
    assert list(stream[:50]) != list(Shuffle(50, (1, 1)).take(0, 50))


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 9), seed=st.integers(0, 99), channels=st.integers(3, 6))
def test_a_gather_equals_a_slow_loop(size, seed, channels):
    given_ = keyframes(count=3, height=11, width=8, channels=channels, seed=seed)
    rng = np.random.default_rng(seed)
    learnt, measured = rng.random((2, 3, 11, 8)) < 0.5
    centres = np.stack([rng.integers(0, length, 6) for length in (3, 11, 8)], axis=1)
    pieces = PatchSource(given_, learnt, measured).gather(torch.from_numpy(centres), size)
    for place, (k, y, x) in enumerate(centres):
        np.testing.assert_allclose(pieces["frame"][place], slow_patch(given_.sources[k], y, x, size), atol=1e-6)
        np.testing.assert_allclose(pieces["styled"][place], slow_patch(given_.styled[k], y, x, size), atol=1e-6)
        # 255 becomes 1 and what lies outside 0, so the slow patch tells masks too.
        for name, marks in (("learnt", learnt), ("measured", measured)):
            expected = slow_patch(marks[k, ..., None] * 255, y, x, size) > 0
            np.testing.assert_array_equal(pieces[name][place], expected, err_msg=name)


def test_whole_keyframes_are_what_they_were():
    given_ = keyframes(count=3, height=11, width=8, channels=5)
    learnt = np.random.default_rng(1).random((3, 11, 8)) < 0.5
    pieces = PatchSource(given_, learnt).whole(torch.tensor([2, 0]))
    for place, k in enumerate((2, 0)):
        np.testing.assert_allclose(pieces["frame"][place], given_.sources[k].transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)
        np.testing.assert_allclose(pieces["styled"][place], given_.styled[k].transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)
        np.testing.assert_array_equal(pieces["learnt"][place, 0], learnt[k])
    assert not pieces["measured"].any()
