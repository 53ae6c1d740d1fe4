"""Colour histograms: cells and counts of known values, and ratios of two colours."""

import numpy as np
import pytest

from dreaming.imaging.colour_histogram import ColourBins, rgb_to_lab


def grey_lab(*rows):
    """A Lab image of grey levels, with a and b of 128."""
    levels = np.array(rows, np.uint8)
    return np.dstack([levels, np.full_like(levels, 128), np.full_like(levels, 128)])


def test_cells_span_the_colours_of_the_images():
    bins = ColourBins.from_images([grey_lab([100, 140])], count=4, tail=0.0)
    lightness = bins.tables[0]
    # four cells of ten levels from 100 to 140; values outside belong to the outer cells
    assert [lightness[level] for level in (0, 100, 109, 110, 125, 139, 255)] == [0, 0, 0, 1, 2, 3, 3]
    # constant axes have cells of one level
    assert list(bins.tables[1][[127, 128, 129, 130]]) == [0, 0, 1, 2]
    assert bins.cells(grey_lab([100, 139])).tolist() == [[0, 3 * 16]]


def test_pixels_are_divided_by_the_mask():
    bins = ColourBins.from_images([grey_lab([100, 140])], count=2, tail=0.0)
    counts = bins.counts(grey_lab([100, 100, 139]), np.array([[1.0, 0.25, 0.0]], np.float32))
    assert counts[1, 0, 0, 0] == 1.25
    assert counts[0, 0, 0, 0] == 0.75
    assert counts[0, 1, 0, 0] == 1
    assert counts.sum() == 3


def test_the_ratio_compares_relative_frequencies():
    counts = np.zeros((2, 2, 2, 2), np.float32)
    counts[0, 0, 0, 0], counts[0, 1, 0, 0] = 30, 10
    counts[1, 0, 0, 0], counts[1, 1, 0, 0] = 1, 3
    bins = ColourBins.from_images([grey_lab([100, 140])], count=2)
    ratio = bins.log_ratio(counts, sigma=1e-3, prior=0.0 + 1e-9).reshape(2, 2, 2)
    assert ratio[0, 0, 0] == pytest.approx(np.log((1 / 4) / (3 / 4)), abs=1e-4)
    assert ratio[1, 0, 0] == pytest.approx(np.log((3 / 4) / (1 / 4)), abs=1e-4)
    assert ratio[1, 1, 1] == 0, "an unseen colour"


def test_red_is_separated_from_blue():
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, :4], image[:, 4:] = (200, 40, 30), (30, 60, 160)
    lab, mask = rgb_to_lab(image), np.zeros((4, 8), np.float32)
    mask[:, :4] = 1
    bins = ColourBins.from_images([lab])
    ratio = bins.log_ratio(bins.counts(lab, mask))[bins.cells(lab)]
    assert (ratio[:, :4] > 3).all()
    assert (ratio[:, 4:] < -3).all()
