"""What a painter would have done between two keyframes."""

import numpy as np
import pytest

from dreaming.strokes.bands import SIGMAS, local_energy, split
from dreaming.strokes.keyframe import WINDOW, Keyframe
from dreaming.strokes.painter import Painter

SIZE = (64, 96)
EVERYWHERE = np.ones(SIZE, bool)


def keyframe(strength, source_strength=10.0, mask=EVERYWHERE, seed=0):
    """A keyframe with white noise of a strength that rises from left to right, and a source of likewise noise."""
    noise = np.random.default_rng(seed).standard_normal((2, *SIZE, 1)) * np.linspace(0.3, 1, SIZE[1])[:, None]
    source, painted = (np.clip(128 + s * n, 0, 255) for s, n in zip((source_strength, strength), noise, strict=True))
    return Keyframe(source.astype(np.uint8).repeat(3, 2), painted.astype(np.uint8).repeat(3, 2), mask)


def energies(image):
    *bands, _ = split(image.astype(np.float32))
    return [local_energy(band, WINDOW) for band in bands]


@pytest.mark.parametrize("index", range(len(SIGMAS)))
def test_a_faint_image_gets_the_energy_of_the_painting(index):
    painted = keyframe(20.0)
    faint = energies(keyframe(4.0).painted)[index]
    found = Painter.near([(painted, 3)]).energy(index, faint, energies(painted.frame)[index], EVERYWHERE)
    truth = energies(painted.painted)[index]
    assert np.log(found / truth).mean() == pytest.approx(0, abs=0.1)
    assert np.corrcoef(np.log(found).ravel(), np.log(truth).ravel())[0, 1] > 0.9


def test_a_blurred_frame_gets_less_if_strokes_follow_the_source():
    painted = keyframe(20.0)
    own, source = energies(painted.painted)[0], energies(painted.frame)[0]
    painter = Painter.near([(painted, 3)])
    sharp, faint = (painter.energy(0, own, factor * source, EVERYWHERE).mean() for factor in (1.0, 0.25))
    assert painted.bands[0].exponent > 0.7
    assert faint / sharp == pytest.approx(0.25 ** painted.bands[0].exponent, rel=0.1)


def test_strength_changes_linearly_between_two_keyframes():
    one, other = keyframe(10.0), keyframe(20.0)
    own, source = energies(one.painted)[0], energies(one.frame)[0]
    near, middle, far = (
        float(Painter.near([(one, step), (other, 4 - step)]).energy(0, own, source, EVERYWHERE).mean())
        for step in (1, 2, 3)
    )
    assert near < middle < far
    assert middle == pytest.approx((near + far) / 2, rel=0.02)


def test_grain_of_the_nearer_keyframe_prevails():
    one, other = keyframe(10.0, seed=1), keyframe(10.0, seed=2)
    grain = Painter.near([(one, 1), (other, 4)]).grain
    first, second = (np.corrcoef(grain.ravel(), next(split(each.grain)).ravel())[0, 1] for each in (one, other))
    assert first > 0.9 > 0.5 > second


def test_where_nothing_is_known_the_network_s_energy_stays():
    own = np.random.default_rng(3).uniform(1, 9, SIZE).astype(np.float32)
    painter = Painter.near([(keyframe(20.0, mask=~EVERYWHERE), 2)])
    np.testing.assert_array_equal(painter.energy(0, own, own, ~EVERYWHERE), own)
    assert not painter.known.any()
    assert not painter.grain.any()
