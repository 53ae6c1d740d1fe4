"""Each operation agrees with its definition, written as loops over pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from dreaming.errors import ParameterError
from dreaming.imaging.morphology import Cleaning, close, feather, fill_holes, remove_isolated, remove_small
from dreaming.instantiation.validation import find_problem, parameters_of

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))
quickly = settings(max_examples=150, deadline=None)


def window(size, row, column, reach):
    """Pixels of a square window that lie in the frame."""
    for y in range(row - reach, row + reach + 1):
        for x in range(column - reach, column + reach + 1):
            if 0 <= y < size[0] and 0 <= x < size[1]:
                yield y, x


def plain_remove_isolated(mask, neighbours):
    kept = np.zeros_like(mask)
    for row, column in np.ndindex(mask.shape):
        around = [mask[pixel] for pixel in window(mask.shape, row, column, 1) if pixel != (row, column)]
        kept[row, column] = mask[row, column] and sum(around) > neighbours * len(around) / 8
    return kept


def plain_close(mask, side):
    for decide in (any, all):
        mask = np.array(
            [
                [decide(mask[pixel] for pixel in window(mask.shape, row, column, side // 2)) for column in columns]
                for row, columns in ((row, range(mask.shape[1])) for row in range(mask.shape[0]))
            ]
        )
    return mask


def blobs(mask, corners):
    """Connected components as sets of pixels, by flood fill."""
    left = {tuple(pixel) for pixel in np.argwhere(mask)}
    while left:
        blob, edge = set(), [left.pop()]
        while edge:
            pixel = edge.pop()
            blob.add(pixel)
            for y, x in window(mask.shape, *pixel, 1):
                if (y, x) in left and (corners or y == pixel[0] or x == pixel[1]):
                    left.remove((y, x))
                    edge.append((y, x))
        yield blob


def plain_remove_small(mask, fraction):
    kept = np.zeros_like(mask)
    for blob in blobs(mask, corners=True):
        for pixel in blob:
            kept[pixel] = len(blob) >= fraction * mask.size
    return kept


def plain_fill_holes(mask, fraction):
    filled = mask.copy()
    height, width = mask.shape
    for blob in blobs(~mask, corners=False):
        inside = all(0 < y < height - 1 and 0 < x < width - 1 for y, x in blob)
        for pixel in blob:
            filled[pixel] |= inside and len(blob) <= fraction * mask.size
    return filled


@quickly
@given(masks, st.integers(0, 7))
def test_remove_isolated(mask, neighbours):
    np.testing.assert_array_equal(remove_isolated(mask, neighbours), plain_remove_isolated(mask, neighbours))


@quickly
@given(masks, st.sampled_from([1, 3, 5, 19]))
def test_close(mask, side):
    np.testing.assert_array_equal(close(mask, side), plain_close(mask, side))


@quickly
@given(masks, st.sampled_from([0.0, 0.01, 0.1, 0.3, 1.0]))
def test_remove_small(mask, fraction):
    np.testing.assert_array_equal(remove_small(mask, fraction), plain_remove_small(mask, fraction))


@quickly
@given(masks, st.sampled_from([0.0, 0.02, 0.1, 1.0]))
def test_fill_holes(mask, fraction):
    np.testing.assert_array_equal(fill_holes(mask, fraction), plain_fill_holes(mask, fraction))


def test_full_and_empty_masks_stay_and_the_argument_is_not_modified():
    for mask in (np.ones((40, 50), bool), np.zeros((40, 50), bool)):
        before = mask.copy()
        result = Cleaning(holes=1.0)(mask)
        np.testing.assert_array_equal(result, before)
        assert result.dtype == bool
        result[:] = ~result
        np.testing.assert_array_equal(mask, before)


def test_strided_arrays_are_accepted():
    mask = np.random.default_rng(0).random((30, 40)) > 0.4
    for operation in (remove_isolated, close, remove_small, fill_holes):
        np.testing.assert_array_equal(operation(mask[::2, ::2]), operation(mask[::2, ::2].copy()))


def test_cleaning_applies_its_steps_in_order_and_each_is_optional():
    mask = np.random.default_rng(1).random((40, 60)) > 0.7
    mask[5:30, 10:40] = True
    mask[10:20, 15:30] = False  # a hole that closing leaves
    expected = plain_fill_holes(plain_remove_small(plain_close(plain_remove_isolated(mask, 3), 5), 0.05), 0.1)
    np.testing.assert_array_equal(Cleaning(3, 5, 0.05, 0.1)(mask), expected)
    np.testing.assert_array_equal(Cleaning(None, None, None, None)(mask), mask)
    np.testing.assert_array_equal(Cleaning(None, None, 0.05, None)(mask), plain_remove_small(mask, 0.05))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("neighbours", 8),
        ("neighbours", -1),
        ("closing", 0),
        ("smallest", -0.1),
        ("holes", 2),
    ],
)
def test_values_out_of_range_do_not_fit(name, value):
    assert find_problem(value, parameters_of(Cleaning).hints[name])


def test_an_even_side_is_refused():
    with pytest.raises(ParameterError) as refused:
        Cleaning(closing=18)
    assert (refused.value.name, refused.value.found) == ("closing", "18")


def test_a_feathered_step_is_the_integral_of_the_gaussian():
    mask = np.zeros((9, 41), np.float32)
    mask[:, 20:] = 1
    found = feather(mask, 2.0)
    offsets = np.arange(-20, 21)
    weights = np.exp(-(offsets**2) / 8)
    expected = [weights[offsets >= 20 - column].sum() / weights.sum() for column in range(41)]
    np.testing.assert_allclose(found, np.tile(expected, (9, 1)), atol=2e-3)
    assert found.dtype == np.float32


def test_feathering_keeps_constant_masks_and_sigma_0_keeps_all():
    mask = np.eye(6, dtype=np.float32)
    np.testing.assert_array_equal(feather(mask, 0), mask)
    for value in (0.0, 1.0):
        np.testing.assert_allclose(feather(np.full((7, 5), value, np.float32), 9.0), value, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 5.0])
def test_feathered_values_stay_in_0_to_1(sigma):
    mask = (np.random.default_rng(0).random((20, 30)) > 0.5).astype(np.float32)
    found = feather(mask, sigma)
    assert 0 <= found.min() <= found.max() <= 1
