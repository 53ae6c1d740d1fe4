import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dreaming.data.scales import downsample, downsample_masks


def covered(length, count):
    """Overlap (count, length) of ``count`` equal intervals with each of ``length`` pixels."""
    edges = np.arange(count + 1) * length / count
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return overlap.clip(min=0)


@settings(max_examples=30, deadline=None)
@given(scale=st.sampled_from([0.5, 0.25, 0.3, 0.75]), channels=st.sampled_from([3, 4, 9]), seed=st.integers(0, 99))
def test_pixels_are_means_of_those_they_cover(scale, channels, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (2, 20, 28, channels), dtype=np.uint8)
    height, width = round(20 * scale), round(28 * scale)
    rows, columns = covered(20, height), covered(28, width)
    slow = np.einsum("yi,kijc,xj->kyxc", rows, images.astype(float), columns)
    slow /= rows.sum(axis=1)[:, None, None] * columns.sum(axis=1)[:, None]
    small = downsample(images, scale)
    assert small.shape == (2, height, width, channels)
    assert np.abs(small - slow).max() <= 1
    masks = rng.random((2, 20, 28)) < 0.9
    touched = np.einsum("yi,kij,xj->kyx", rows > 1e-6, ~masks, columns > 1e-6) > 0
    np.testing.assert_array_equal(downsample_masks(masks, scale), ~touched)


def test_full_scale_changes_nothing():
    images = np.random.default_rng(1).integers(0, 256, (1, 5, 7, 3), dtype=np.uint8)
    assert downsample(images, 1.0) is images
    masks = images[..., 0] > 99
    assert downsample_masks(masks, 1.0) is masks


def test_a_tiny_picture_keeps_a_pixel():
    assert downsample(np.full((1, 3, 3, 3), 7, np.uint8), 0.1).tolist() == [[[[7, 7, 7]]]]
    assert downsample_masks(np.ones((1, 3, 3), bool), 0.1).tolist() == [[[True]]]
