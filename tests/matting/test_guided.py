"""Guided refinement: hair comes back, and a mask that colours do not explain stays as it is."""

import numpy as np

from dreaming.imaging.morphology import feather
from dreaming.matting.guided import refine_guided
from dreaming.matting.trimap import make_trimap


def strands(seed=0):
    """A matte (64, 96) of a block with a fringe of columns, its blurred mask, and noise of two levels."""
    rng = np.random.default_rng(seed)
    matte = np.zeros((64, 96), np.float32)
    matte[32:] = 1
    matte[20:32] = np.repeat(rng.random(32) > 0.5, 3)
    return matte, feather(matte, 3), rng.integers(-3, 4, (64, 96, 3))


def test_hair_comes_back_where_colours_differ():
    matte, mask, noise = strands()
    image = np.rint(matte[..., None] * [180, 90, 40] + (1 - matte[..., None]) * [40, 90, 160] + noise).astype(np.uint8)
    found = refine_guided(image, mask, make_trimap(mask, 4))
    assert np.square(found - matte).mean() < 0.3 * np.square(mask - matte).mean()
    assert found.dtype == np.float32
    assert (found[:8] == 0).all()
    assert (found[-8:] == 1).all()


def test_a_mask_stays_where_colours_are_equal():
    _, mask, noise = strands()
    found = refine_guided((noise + 90).astype(np.uint8), mask, make_trimap(mask, 4))
    assert np.abs(found - mask).mean() < 0.02
    assert ((found > 0.5) != (mask > 0.5)).mean() < 0.01


def test_only_the_surroundings_of_the_band_matter():
    matte, mask, noise = strands()
    image = np.rint(matte[..., None] * [180, 90, 40] + (1 - matte[..., None]) * [40, 90, 160] + noise).astype(np.uint8)
    mask[:, :40] = 0
    found = refine_guided(image, mask, make_trimap(mask, 2))
    padded = [np.pad(array, ((90, 0), (0, 0), (0, 0))[: array.ndim], mode="edge") for array in (image, mask)]
    whole = refine_guided(*padded, make_trimap(padded[1], 2))
    assert found.shape == mask.shape
    assert np.abs(whole[90 + 30 :] - found[30:]).max() < 0.05
    assert not refine_guided(image, mask * 0, make_trimap(mask * 0, 2)).any()
