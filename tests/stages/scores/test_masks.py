"""Scores of one mask, and the pictures of where a masker does worst."""

from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest

from dreaming.stages.scores.masks import scores, worst_frames

SIZE = (64, 160)


def band(*columns):
    mask = np.zeros(SIZE, bool)
    mask[40:60, slice(*columns)] = True
    return mask


def test_a_mask_is_scored_by_area_and_outline():
    predicted, true = band(10, 40), band(20, 50)
    assert scores(true, true) == {"IoU": 1, "boundary F": 1}
    scored = scores(predicted, true)
    assert scored["IoU"] == pytest.approx(20 / 40)
    assert 0 < scored["boundary F"] < 1


def test_masks_are_scored_as_the_shared_program_does_where_one_or_both_are_empty(shared):
    spec = spec_from_file_location("shared_score", shared / "score" / "masks.py")
    theirs = module_from_spec(spec)
    spec.loader.exec_module(theirs)
    nothing = np.zeros(SIZE, bool)
    for predicted, true in (
        (nothing, nothing),
        (nothing, band(9, 30)),
        (band(9, 30), nothing),
        (band(9, 30), band(12, 40)),
    ):
        scored = scores(predicted, true)
        assert scored["IoU"] == pytest.approx(theirs.region(predicted, true))
        assert scored["boundary F"] == pytest.approx(theirs.contour(predicted, true))


@pytest.mark.parametrize(
    ("predicted", "true", "score"), [((0, 0), (0, 0), 1), ((9, 30), (0, 0), 0), ((0, 0), (9, 30), 0)]
)
def test_nothing_is_right_where_there_is_nothing(predicted, true, score):
    scored = scores(band(*predicted), band(*true))
    assert (scored["IoU"], scored["boundary F"]) == (score, score)


def test_the_worst_frames_come_first_with_what_is_wrong_in_red():
    true, predicted = band(20, 50), {"good": band(20, 50), "bad": band(100, 120), "fair": band(20, 30)}
    rows = [{"frame": name, **scores(mask, true)} for name, mask in predicted.items()]
    sheet = worst_frames(rows, 2, lambda stem: (np.full((*SIZE, 3), 90, np.uint8), predicted[stem], true)).astype(int)
    assert sheet.shape == (2 * SIZE[0], SIZE[1], 3)
    for name, picture in zip(("bad", "fair"), np.split(sheet, 2), strict=True):
        red, green = (picture[32:, :, channel] > 120 for channel in (0, 1))  # the label stands above
        assert np.array_equal(red, (predicted[name] != true)[32:]), name
        assert np.array_equal(green, (predicted[name] & true)[32:]), name
        assert (picture[:32] == 255).any(), "the label"
