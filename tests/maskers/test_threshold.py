"""Boxes in colour space: the search against trying all of them, and the refusals."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dreaming.errors import ParameterError
from dreaming.maskers.grabcut import GrabCutMasker
from dreaming.maskers.threshold import ThresholdMasker, best_interval, search

counts = arrays(np.int64, 7, elements=st.integers(0, 20))


@settings(max_examples=100, deadline=None)
@given(counts, counts, st.booleans())
def test_the_best_interval_is_the_best_of_all(true, false, circle):
    total = int(true.sum()) + 3

    def index(low, high):
        inside = range(low, high + 1) if low <= high else [*range(low, 7), *range(high + 1)]
        return true[list(inside)].sum() / (total + false[list(inside)].sum())

    interval, found = best_interval(true, false, total, circle)
    allowed = [(low, high) for low in range(7) for high in range(7) if circle or low <= high]
    assert found == pytest.approx(max(index(*one) for one in allowed))
    assert found == pytest.approx(index(*interval))


def test_a_box_across_red_is_found_exactly():
    subject, background = np.zeros((2, 16, 16, 16), np.int64)
    subject[[14, 15, 0, 1], 5:9, 3] = 2
    background[2:14] = 1
    background[:, :5] = 1
    assert search(subject, background, [None] * 3, first_is_circle=True)[0] == (14 * 16, 2 * 16 - 1)
    assert search(subject, background, [None] * 3, first_is_circle=True)[1] == (5 * 16, 9 * 16 - 1)
    given = search(subject, background, [None, (80, 100), None], first_is_circle=True)
    assert given[:2] == [(14 * 16, 2 * 16 - 1), (80, 100)]


def clusters(rng, count, side=4):
    """Pixels of some colours, each a blurred ellipsoid in a cube of colours whose first axis goes round."""
    cells, found = np.stack(np.mgrid[:side, :side, :side], axis=-1), np.zeros((side, side, side))
    for _ in range(count):
        away = cells - rng.uniform(0, side, 3)
        away[..., 0] = (away[..., 0] + side / 2) % side - side / 2
        found += rng.uniform(20, 200) * np.exp(-((away / rng.uniform(0.4, 1.5, 3)) ** 2).sum(axis=-1) / 2)
    return np.rint(found).astype(np.int64)


def boxes(circle, side=4):
    """All intervals of each axis, as 1 at the levels inside, (intervals, side)."""
    levels = range(side)
    straight = [[low <= level <= high for level in levels] for low in levels for high in levels[low:]]
    wrapped = [[level >= low or level <= high for level in levels] for low in levels for high in levels[:low]]
    return [np.array(rows, float) for rows in (straight + wrapped * circle, straight, straight)]


@pytest.mark.parametrize("circle", [True, False])
def test_the_search_is_nearly_always_as_good_as_trying_all_boxes(circle):
    """What its docstring says of it, on fewer histograms."""
    missed = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        subject, background = (clusters(rng, int(rng.integers(*most))) for most in ((1, 4), (2, 7)))
        every = boxes(circle)
        true, false = (np.einsum("ai,bj,ck,ijk->abc", *every, each, optimize=True) for each in (subject, background))
        best = (true / (subject.sum() + false)).max()
        found = search(subject, background, [None] * 3, first_is_circle=circle)
        firsts = np.arange(0, 256, 64)
        cells = np.ix_(*(np.roll(firsts, -low // 64)[: ((high - low) % 256 + 1) // 64] // 64 for low, high in found))
        index = subject[cells].sum() / (subject.sum() + background[cells].sum())
        assert index <= best + 1e-9
        missed.append(1 - index / best)
    assert np.mean(np.array(missed) < 1e-9) > 0.93
    assert np.mean(missed) < 0.005
    assert max(missed) < 0.2


@pytest.mark.parametrize("space", ["hsv", "lab"])
def test_the_red_disc_is_found_and_the_bounds_kept(disc_clip, space):
    drawing = disc_clip()
    clip = drawing.clip
    masker = ThresholdMasker(space=space).fit(clip, clip.references("subject", clip.stems))
    for stem, probability in masker.predict(clip, clip.stems):
        assert probability.dtype == np.float32
        assert np.mean((probability > 0.5) != drawing.truth[stem]) < 0.01
    record = json.loads((clip.runs("threshold") / "bounds.json").read_text())
    assert record["jaccard"] > 0.97


def test_bounds_by_hand_are_taken_as_they_are(disc_clip):
    clip = disc_clip().clip
    bounds = {"hue": [240, 20], "saturation": [100, 255], "value": [90, 255]}
    references = clip.references("subject", clip.stems)
    ThresholdMasker(bounds=bounds).fit(clip, references)
    assert json.loads((clip.runs("threshold") / "bounds.json").read_text())["bounds"] == bounds


def test_the_bounds_kept_are_those_of_all_references(disc_clip):
    clip = disc_clip().clip
    references = clip.references("subject", clip.stems)
    masker = GrabCutMasker(ThresholdMasker())
    assert masker.fit_report == {}
    masker.fit(clip, references)
    kept = (clip.runs("threshold") / "bounds.json").read_text()
    assert json.loads(kept) == masker.fit_report
    masker.fit_without(clip, references, references.select(["0004"]))
    assert masker.fit_report["references"] == ["0001", "0008"]
    assert (clip.runs("threshold") / "bounds.json").read_text() == kept


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"bounds": {"lightness": [0, 9]}}, "bounds.lightness"),
        ({"bounds": {"value": [9, 0]}}, "bounds.value"),
        ({"bounds": {"hue": [0, 256]}}, "bounds.hue"),
        ({"bins": 60}, "bins"),
        ({"bins": 1}, "bins"),
    ],
)
def test_impossible_bounds_and_bins_are_refused(wrong, name):
    with pytest.raises(ParameterError) as caught:
        ThresholdMasker(**wrong)
    assert caught.value.name == name
