"""The two parts of auto-context: boosted trees, and the channels of a map's context against values by hand."""

import numpy as np
import pytest

from dreaming.maskers.auto_context import Boosting, context_channels


def test_trees_learn_a_rule_and_leave_the_rest_of_a_frame_out():
    rng = np.random.default_rng(0)
    samples = rng.random((2000, 3), np.float32)
    trees = Boosting(max_iter=20, min_samples_leaf=20, max_features=1.0).fit(samples, samples[:, 1] > 0.5, seed=0)
    again = Boosting(max_iter=20, min_samples_leaf=20, max_features=1.0).fit(samples, samples[:, 1] > 0.5, seed=0)
    channels = rng.random((3, 80, 90), np.float32)
    where = np.ones((80, 90), bool)
    where[:, :9] = False
    predicted = trees.map(channels, where)
    assert predicted.dtype == np.float32
    assert np.mean((predicted > 0.5)[:, 9:] == (channels[1] > 0.5)[:, 9:]) > 0.98
    assert predicted[:, :9].max() == 0
    np.testing.assert_array_equal(predicted, again.map(channels, where))
    assert trees.map(channels, np.zeros_like(where)).max() == 0


def test_few_samples_still_make_leaves():
    samples = np.linspace(0, 1, 60, dtype=np.float32)[:, None]
    trees = Boosting(max_iter=20, min_samples_leaf=200, max_features=1.0).fit(samples, samples[:, 0] > 0.5, seed=0)
    assert trees(samples)[[0, -1]] == pytest.approx([0, 1], abs=0.2)


def test_context_holds_neighbours_blurs_and_offsets():
    own = np.zeros((30, 40), np.float32)
    own[12, 20] = 1
    moved = np.full((30, 40, 2), (3, 0), np.float32)
    context = context_channels(own, [(own, moved)], sigmas=(2.0,), offsets=(5,))
    assert len(context) == 1 + 2 + 2 + 1 + 8
    assert context[0][12, 20] == 1
    assert context[1][12, 17] == 1, "three pixels to the right it lies in the neighbour"
    np.testing.assert_array_equal(context[2], own)
    assert context[3].max() == 0, "nowhere do both neighbours agree"
    assert context[4].sum() == 2
    assert context[5][12, 20] == pytest.approx(1 / (2 * np.pi * 4), rel=0.05)
    assert sorted(map(tuple, np.argwhere(context[6:].max(axis=0)))) == sorted(
        (12 + dy, 20 + dx) for dy in (-5, 0, 5) for dx in (-5, 0, 5) if (dy, dx) != (0, 0)
    )


def test_borders_are_replicated():
    own = np.zeros((10, 10), np.float32)
    own[:, 0] = 1
    context = context_channels(own, [], sigmas=(), offsets=(4,))
    left = context[5 + 3]  # (0, -4)
    assert left[:, :5].min() == 1
    assert left[:, 5:].max() == 0


@pytest.mark.parametrize("strides", [(3, 1), (6, 3, 1), (4, 2, 1)])
def test_a_coarse_grid_is_refined_along_an_outline_and_near_thin_lines(strides):
    rng = np.random.default_rng(0)
    samples = rng.random((2000, 1), np.float32)
    trees = Boosting(max_iter=60, min_samples_leaf=20, max_features=1.0).fit(samples, samples[:, 0] > 0.5, seed=0)
    channels = np.zeros((1, 80, 91), np.float32)
    channels[0, 20:50, 31:62] = 1
    channels[0, 60, :] = 1
    where = np.ones((80, 91), bool)
    where[:, :9] = False
    fine, coarse = trees.map(channels, where), trees.map(channels, where, strides)
    np.testing.assert_array_equal(coarse > 0.5, fine > 0.5)
    np.testing.assert_allclose(coarse, fine, atol=0.02)
    assert coarse[:, :9].max() == 0


def test_between_the_pixels_of_the_last_grid_the_map_is_interpolated():
    rng = np.random.default_rng(0)
    samples = rng.random((2000, 1), np.float32)
    trees = Boosting(max_iter=60, min_samples_leaf=20, max_features=1.0).fit(samples, samples[:, 0] > 0.5, seed=0)
    channels = np.tile(np.linspace(0, 1, 61, dtype=np.float32), (1, 40, 1))
    where = np.ones((40, 61), bool)
    where[:, 50:] = False
    fine, coarse = trees.map(channels, where), trees.map(channels, where, (6, 2))
    np.testing.assert_allclose(coarse[::2, ::2], fine[::2, ::2], atol=0.02)
    np.testing.assert_allclose(coarse[:, 1:49:2], (fine[:, 0:48:2] + fine[:, 2:50:2]) / 2, atol=0.02)
    assert coarse[:, 50:].max() == 0
