import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreaming.clip.annotations import Keyframes, References


def make(count):
    stems = tuple(f"{place:04d}" for place in range(1, count + 1))
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 3), np.uint8)
    masks = np.zeros((count, 4, 6), bool)
    masks[:, 0] = True
    masks[1::2, :, 0] = True
    return References(stems, images, masks, "head")


def test_a_choice_keeps_pictures_with_their_names():
    references = make(5)
    chosen = references.select(["0004", "0002", "absent"])
    assert chosen.stems == ("0002", "0004")
    assert chosen.images[:, 0, 0, 0].tolist() == [1, 3]
    assert chosen.masks[:, 3, 0].tolist() == [True, True]
    assert (chosen.part, chosen.size, len(chosen)) == ("head", (4, 6), 2)
    rest = references.without(chosen.stems)
    assert rest.stems == ("0001", "0003", "0005")
    assert rest.images[:, 0, 0, 0].tolist() == [0, 2, 4]
    assert len(references.select([])) == 0
    assert references.select([]).size == (4, 6)


@given(st.integers(1, 20), st.integers(1, 7))
def test_folds_are_disjoint_complete_and_even(count, wanted):
    folds = make(count).folds(wanted)
    assert len(folds) == min(wanted, count)
    names = [stem for fold in folds for stem in fold.stems]
    assert sorted(names) == list(make(count).stems)
    sizes = [len(fold) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


def test_a_fold_is_spread_over_time():
    assert [fold.stems for fold in make(5).folds(2)] == [("0001", "0003", "0005"), ("0002", "0004")]


def of_some(present):
    """References of which some show no subject."""
    references = make(len(present))
    references.masks[~np.array(present)] = False
    return references


@given(st.lists(st.booleans(), min_size=2, max_size=20).filter(lambda present: sum(present) > 1), st.integers(2, 7))
def test_what_a_fold_leaves_shows_the_subject(present, wanted):
    references = of_some(present)
    folds = references.folds(wanted)
    assert sorted(stem for fold in folds for stem in fold.stems) == list(references.stems)
    for fold in folds:
        assert references.without(fold.stems).present
        assert list(fold.stems) == sorted(fold.stems)
    assert {len(fold) for fold in folds} <= {len(present) // len(folds), -(-len(present) // len(folds))}


def test_a_lone_frame_that_shows_the_subject_is_in_no_fold():
    assert [fold.stems for fold in of_some([False, True, False, False]).folds(2)] == [("0001", "0004"), ("0003",)]
    assert [fold.stems for fold in make(1).folds()] == [("0001",)]
    assert [fold.stems for fold in of_some([False, False]).folds()] == [("0001",), ("0002",)]


def test_names_without_pictures_are_a_bug():
    with pytest.raises(AssertionError):
        References(("1", "2"), np.zeros((1, 2, 2, 3), np.uint8), np.zeros((2, 2, 2), bool))
    with pytest.raises(AssertionError):
        Keyframes(("1",), np.zeros((1, 2, 2, 3), np.uint8), np.zeros((2, 2, 2, 3), np.uint8), np.ones((1, 2, 2), bool))
