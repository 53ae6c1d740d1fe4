"""Colour likelihood from given masks, each counted once."""

import numpy as np
import pytest

from dreaming.features.colour_likelihood import ColourLikelihood
from dreaming.features.propagated_masks import PropagationSource


@pytest.fixture
def drawing(disc_clip):
    return disc_clip(count=4, size=(32, 48), masks=(1, 4), keyframes=())


def source(drawing, stem, mask=None):
    return PropagationSource.from_hand_mask(stem, drawing.truth[stem] if mask is None else mask, (32, 48))


def test_red_is_the_disc_and_blue_is_not(drawing):
    colours = ColourLikelihood(drawing.clip, (32, 48))
    ratio = colours.log_ratio(colours.lab("0003"), (source(drawing, "0001"), source(drawing, "0004")))
    assert np.median(ratio[drawing.truth["0003"]]) > 1
    assert np.median(ratio[~drawing.truth["0003"]]) < -1


def test_a_repeated_mask_counts_once(drawing):
    colours = ColourLikelihood(drawing.clip, (32, 48))
    lab, one = colours.lab("0003"), source(drawing, "0001")
    once, twice = colours.log_ratio(lab, (one,)), colours.log_ratio(lab, (one, one))
    np.testing.assert_array_equal(once, twice)
    wrong = source(drawing, "0001", ~drawing.truth["0001"])
    np.testing.assert_allclose(colours.log_ratio(lab, (wrong,)), -once, atol=1e-5)
