"""Keyframes: the statistics of their strokes, and which of them are nearest."""

import numpy as np
import pytest

from dreaming.clip.shots import Shots
from dreaming.strokes.keyframe import MIN_ENERGY, BandStatistics, Keyframe, mean_log, nearest

RNG = np.random.default_rng(5)
EVERYWHERE = np.ones((64, 96), bool)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_energy_is_a_power_of_the_source_s(exponent):
    source = RNG.uniform(5, 500, 2000).astype(np.float32)
    painted = 3 * source**exponent
    found = BandStatistics.of(painted, source)
    assert found.exponent == pytest.approx(exponent, abs=0.05)
    assert found.source_level == pytest.approx(np.log(source + MIN_ENERGY).mean(), abs=1e-4)
    assert found.quantiles[[0, 32, -1]] == pytest.approx(np.quantile(painted, [0, 0.5, 1]), rel=0.01)


def test_exponents_stay_between_0_and_1():
    source = RNG.uniform(5, 500, 2000).astype(np.float32)
    assert BandStatistics.of(1 / source, source).exponent == 0
    assert BandStatistics.of(source**3, source).exponent == 1
    assert BandStatistics.of(source, np.full_like(source, 7)).exponent == 0, "a uniform source explains nothing"


def test_nothing_painted():
    assert mean_log(np.zeros(0, np.float32)) == pytest.approx(np.log(MIN_ENERGY))
    image = RNG.integers(0, 256, (64, 96, 3), np.uint8)
    keyframe = Keyframe(image, image, ~EVERYWHERE)
    assert not keyframe.grain.any()
    assert all(not band.quantiles.any() for band in keyframe.bands)


def test_statistics_ignore_unpainted_pixels():
    image, painted = RNG.integers(0, 256, (2, 64, 96, 3), np.uint8)
    mask = EVERYWHERE.copy()
    mask[:, 48:] = False
    other = np.where(mask[..., None], painted, 0).astype(np.uint8)
    one, two = (Keyframe(image, each, mask).bands[0] for each in (painted, other))
    assert one.quantiles == pytest.approx(two.quantiles, rel=0.01)
    assert one.exponent == pytest.approx(two.exponent, abs=0.01)


def test_nearest_keyframes():
    keyframes = ["b", "d", "f"]
    assert {stem: "".join(nearest(Shots("abcdefg"), keyframes, stem)) for stem in "abcdefg"} == {
        "a": "b", "b": "b", "c": "bd", "d": "d", "e": "df", "f": "f", "g": "f",
    }  # fmt: skip


def test_keyframes_of_other_shots_are_nearest_only_to_shots_without_any():
    shots = Shots("abcdefg", ["d", "e"])
    assert {stem: "".join(nearest(shots, ["b", "f"], stem)) for stem in "abcdefg"} == {
        "a": "b", "b": "b", "c": "b", "d": "b", "e": "f", "f": "f", "g": "f",
    }  # fmt: skip
