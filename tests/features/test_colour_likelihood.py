"""The palette: colours told by the masks it is given, each of them counted once."""

import numpy as np
import pytest

from dreaming.features.colour_likelihood import ColourLikelihood
from dreaming.features.propagated_masks import PropagationSource


@pytest.fixture
def drawing(disc_clip):
    return disc_clip(count=4, size=(32, 48), masks=(1, 4), keyframes=())


def source(drawing, stem, mask=None):
    return PropagationSource.painted(stem, drawing.truth[stem] if mask is None else mask, (32, 48))


def test_red_is_the_disc_and_blue_is_not(drawing):
    palette = ColourLikelihood(drawing.clip, (32, 48))
    ratio = palette.log_ratio(palette.lab("0003"), (source(drawing, "0001"), source(drawing, "0004")))
    assert np.median(ratio[drawing.truth["0003"]]) > 1
    assert np.median(ratio[~drawing.truth["0003"]]) < -1


def test_a_mask_given_twice_counts_once_and_another_one_counts(drawing):
    palette = ColourLikelihood(drawing.clip, (32, 48))
    lab, one = palette.lab("0003"), source(drawing, "0001")
    once, twice = palette.log_ratio(lab, (one,)), palette.log_ratio(lab, (one, one))
    np.testing.assert_array_equal(once, twice)
    wrong = source(drawing, "0001", ~drawing.truth["0001"])
    np.testing.assert_allclose(palette.log_ratio(lab, (wrong,)), -once, atol=1e-5)
