"""Each step of a clean-up, against geometry and values by hand."""

import numpy as np
import pytest

from dreaming.errors import ParameterError
from dreaming.imaging.cleanup import (
    STEPS,
    Cleanup,
    clamp,
    feather_inwards,
    feather_outwards,
    fill_soft_holes,
    grow,
    remove_soft_islands,
    smooth_outline,
)

SIZE = (60, 80)
ROWS, COLUMNS = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)


def disc(radius, softness=1.0, at=(30, 40)):
    """A disc whose edge falls from 1 to 0 over ``softness`` pixels."""
    depth = radius - np.hypot(ROWS - at[0], COLUMNS - at[1])
    return np.clip(depth / softness + 0.5, 0, 1).astype(np.float32)


def half_plane(angle, offset, softness):
    depth = offset - (np.cos(angle) * (COLUMNS - 40) + np.sin(angle) * (ROWS - 30))
    return np.clip(depth / softness + 0.5, 0, 1).astype(np.float32)


@pytest.mark.parametrize("radius", [-7.3, -2.5, -0.4, 0.25, 0.5, 1.0, 3.7, 8.0])
@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 4, 2.0])
def test_an_edge_moves_by_the_radius_and_stays_as_soft(radius, angle):
    found = grow(half_plane(angle, 0, 4.0), radius)[12:-12, 12:-12]
    expected = half_plane(angle, radius, 4.0)[12:-12, 12:-12]
    assert np.abs(found - expected).max() < 0.07  # at the kinks of an edge that rises by 0.25 per pixel
    assert np.abs(found - expected).mean() < 0.01


@pytest.mark.parametrize("radius", [-3.3, 0.5, 2.0, 6.4])
def test_a_disc_grows_by_the_radius(radius):
    area = grow(disc(15), radius).sum()
    assert abs(area - np.pi * (15 + radius) ** 2) < 0.025 * area


@pytest.mark.parametrize("invert", [False, True])
def test_a_soft_disc_or_hole_smaller_than_the_radius_leaves_no_grey_spot(invert):
    soft = disc(5, softness=8)
    mask = 1 - soft if invert else soft
    left = grow(mask, 6 if invert else -6)
    np.testing.assert_allclose(left, 1.0 if invert else 0.0, atol=1e-6)


def test_a_part_of_a_pixel_of_a_thin_line_is_left():
    line = np.zeros(SIZE, np.float32)
    line[10] = 1
    assert 0.2 < grow(line, -0.7)[10].min() <= 0.5


def test_what_is_thinner_than_twice_the_radius_vanishes():
    mask = np.zeros(SIZE, np.float32)
    mask[20:23] = 1
    assert grow(mask, -2).max() < 1e-6
    assert grow(mask, -1).sum() == pytest.approx(80)
    np.testing.assert_array_equal(grow(mask, 0), mask)
    np.testing.assert_array_equal(grow(np.zeros(SIZE, np.float32), 3), 0)
    np.testing.assert_array_equal(grow(np.ones(SIZE, np.float32), -3), 1)


def test_holes_are_filled_with_their_edges():
    hole = disc(5, 3)
    mask = np.minimum(disc(20, 3), 1 - hole)
    np.testing.assert_allclose(fill_soft_holes(mask, 0.1), disc(20, 3), atol=1e-6)
    np.testing.assert_array_equal(fill_soft_holes(mask, 0.01), mask)


def test_a_hole_is_filled_as_high_as_the_wall_around_it():
    mask = np.minimum(disc(20, 3), 1 - disc(5, 3, at=(30, 53)))  # its edge touches that of the disc
    wall = mask[30, 56:].max()
    assert 0.6 < wall < 0.95
    filled = fill_soft_holes(mask, 0.1)
    level = filled[30, 53]
    assert 0.7 < level <= wall  # the lowest place of the wall lies between pixels of this row
    assert filled[30, 44:57].min() == level
    assert (filled >= mask).all()
    np.testing.assert_array_equal(filled[:, :40], mask[:, :40])


def test_a_larger_hole_beside_a_small_one_stays():
    mask = np.minimum(np.minimum(disc(28, 1), 1 - disc(10, 1, at=(30, 32))), 1 - disc(3, 1, at=(30, 46.5)))
    filled = fill_soft_holes(mask, 0.02)
    assert filled[30, 46] > 0.9
    np.testing.assert_allclose(filled, np.minimum(disc(28, 1), 1 - disc(10, 1, at=(30, 32))), atol=0.1)


def test_islands_are_removed_with_their_edges():
    for at in ((8, 8), (8, 0), (0, 79)):  # also at the frame's border
        mask = np.maximum(disc(15, 3), disc(4, 3, at=at))
        np.testing.assert_allclose(remove_soft_islands(mask, 0.02), disc(15, 3), atol=1e-6)
    mask = np.maximum(disc(15, 3), disc(4, 3, at=(8, 8)))
    np.testing.assert_allclose(remove_soft_islands(mask, 0.005), mask, atol=1e-6)


def test_an_outline_is_smoothed():
    rough = disc(15) * (np.hypot(ROWS - 30, COLUMNS - 40) <= 15 + 2 * np.sin(COLUMNS * 2.5)).astype(np.float32)
    smooth = smooth_outline(rough, 3.0)
    straight = smooth_outline(half_plane(0.0, 0.5, 1.0), 3.0)
    np.testing.assert_allclose(straight[20:40], half_plane(0.0, 0.5, 1.0)[20:40], atol=0.02)
    steps = [np.abs(np.diff(mask, axis=0)).sum() + np.abs(np.diff(mask, axis=1)).sum() for mask in (rough, smooth)]
    assert steps[1] < steps[0]
    assert ((smooth > 0.02) & (smooth < 0.98)).sum() < 2 * np.pi * 15 * 1.6


def test_feathering_stays_on_its_side():
    mask = half_plane(0.0, 0.5, 1e-3)  # 1 up to column 40
    inwards, outwards = feather_inwards(mask, 8), feather_outwards(mask, 8)
    assert (inwards[:, 41:] == 0).all()
    assert (inwards[:, :33] == 1).all()
    assert inwards[30, 37] == pytest.approx(0.5 - 3 / 32 + 2 * (0.5 / 8) ** 3 * 0, abs=0.1)
    assert (np.diff(inwards[30]) <= 0).all()
    assert (outwards[:, :41] == 1).all()
    assert (outwards[:, 49:] == 0).all()
    np.testing.assert_allclose(outwards[:, 41:49], inwards[:, 33:41], atol=1e-6)
    for each in (feather_inwards, feather_outwards):
        np.testing.assert_array_equal(each(np.ones(SIZE, np.float32), 4), 1)
        np.testing.assert_array_equal(each(np.zeros(SIZE, np.float32), 4), 0)


def test_values_are_clamped():
    found = clamp(np.array([[0, 0.2, 0.5, 0.9, 1]], np.float32), 0.2, 0.8)
    np.testing.assert_allclose(found, [[0, 0, 0.5, 1, 1]], atol=1e-6)


def test_steps_run_in_their_order():
    mask = np.maximum(disc(12), disc(2, at=(8, 8)))
    first = Cleanup.parse("x", [{"remove_small": 0.02}, {"grow": 3}])(mask)
    second = Cleanup.parse("x", [{"grow": 3}, {"remove_small": 0.02}])(mask)
    assert first[8, 8] == 0
    assert second[8, 8] == 0 or second.sum() != first.sum()
    np.testing.assert_array_equal(first, grow(remove_soft_islands(mask, 0.02), 3))
    np.testing.assert_array_equal(Cleanup()(mask), mask)


@pytest.mark.parametrize("name", sorted(STEPS))
def test_every_step_keeps_range_and_type(name):
    mask = np.random.default_rng(0).random(SIZE, np.float32)
    values = [0.2, 0.7] if name == "clamp" else 0.05 if name in ("fill_holes", "remove_small") else 1.5
    for picture in (mask, np.zeros(SIZE, np.float32), np.ones(SIZE, np.float32)):
        before = picture.copy()
        found = Cleanup.parse("x", [{name: values}])(picture)
        assert found.dtype == np.float32
        assert found.shape == SIZE
        assert found.min() >= 0
        assert found.max() <= 1
        np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ({"erode": 1}, "x[0]"),
        ({"grow": 1, "shrink": 1}, "x[0]"),
        ("grow", "x[0]"),
        ({"grow": -1}, "x[0].grow"),
        ({"grow": True}, "x[0].grow"),
        ({"grow": [1, 2]}, "x[0].grow"),
        ({"grow": float("nan")}, "x[0].grow"),
        ({"fill_holes": 1.1}, "x[0].fill_holes"),
        ({"clamp": 0.5}, "x[0].clamp"),
        ({"clamp": [0.7, 0.2]}, "x[0].clamp"),
        ({"smooth": "a"}, "x[0].smooth"),
    ],
)
def test_other_steps_are_refused(step, name):
    with pytest.raises(ParameterError) as refused:
        Cleanup.parse("x", [step])
    assert refused.value.name == name
