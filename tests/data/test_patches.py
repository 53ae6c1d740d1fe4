import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dreaming.clip.annotations import Keyframes
from dreaming.data.patches import HeldOutWindows, PatchSource, Shuffle
from dreaming.data.scales import ScaleSampler


def keyframes(count=2, height=60, width=80, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, height, width), dtype=bool)
    masks[:, 4:56, 6:76] = True
    random = lambda *shape: rng.integers(0, 256, shape, dtype=np.uint8)
    stems = tuple(f"{10 * k:04}" for k in range(count))
    return Keyframes(stems, random(count, height, width, channels), random(count, height, width, 3), masks)


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
def test_a_shuffle_is_without_replacement_and_depends_on_the_position_only(count, start, length, seed):
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
    training, validation = rng.random((2, 3, 11, 8)) < 0.5
    centres = np.stack([rng.integers(0, length, 6) for length in (3, 11, 8)], axis=1)
    patches = PatchSource(given_, training, validation).gather(torch.from_numpy(centres), size)
    for index, (k, y, x) in enumerate(centres):
        np.testing.assert_allclose(patches["frame"][index], slow_patch(given_.sources[k], y, x, size), atol=1e-6)
        np.testing.assert_allclose(patches["styled"][index], slow_patch(given_.styled[k], y, x, size), atol=1e-6)
        # 255 becomes 1 and the outside 0, so this works for masks too.
        for name, masks in (("training", training), ("validation", validation)):
            expected = slow_patch(masks[k, ..., None] * 255, y, x, size) > 0
            np.testing.assert_array_equal(patches[name][index], expected, err_msg=name)


def test_whole_keyframes_are_unchanged():
    given_ = keyframes(count=3, height=11, width=8, channels=5)
    training = np.random.default_rng(1).random((3, 11, 8)) < 0.5
    patches = PatchSource(given_, training).whole(torch.tensor([2, 0]))
    for index, k in enumerate((2, 0)):
        np.testing.assert_allclose(patches["frame"][index], given_.sources[k].transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)
        np.testing.assert_allclose(patches["styled"][index], given_.styled[k].transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)
        np.testing.assert_array_equal(patches["training"][index, 0], training[k])
    assert not patches["validation"].any()


@pytest.mark.parametrize("patch", [5, None])
def test_batches_are_made_on_the_device_of_the_pixels(patch):
    given_ = keyframes()
    source = PatchSource(given_, given_.masks, given_.masks)
    sampler = ScaleSampler(
        source, given_.masks, given_.masks, patch=patch, batch_size=4, edge_share=0.5, seed=(0,)
    )  # fmt: skip
    windows = HeldOutWindows(source, given_.masks, side=16, context=2, max_pixels=800)
    before = sampler.make_batch(0, slice(None)), windows[0]
    source.to("meta")
    for one, other in zip(before, (sampler.make_batch(0, slice(None)), windows[0]), strict=True):
        for name, values in one.items():
            assert values.device.type == "cpu"
            assert other[name].device.type == "meta", name
            assert (other[name].shape, other[name].dtype) == (values.shape, values.dtype)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_batch_on_a_gpu_equals_that_in_main_memory():
    given_ = keyframes()
    source = PatchSource(given_, given_.masks)
    centres = torch.tensor([[0, 5, 7], [1, 59, 79]])
    here = source.gather(centres, 8)
    source.to("cuda")
    for name, values in source.gather(centres, 8).items():
        assert values.is_cuda
        torch.testing.assert_close(values.cpu(), here[name])
