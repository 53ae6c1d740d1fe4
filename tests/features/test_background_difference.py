"""Background differences of a static scene, a moving subject and a panning camera."""

from functools import partial

import numpy as np

from dreaming.clip.clip import Clip
from dreaming.features.background_difference import BACKGROUND_CHANNELS, BackgroundDifference, background_maps
from dreaming.features.colour_likelihood import ColourLikelihood
from dreaming.flow.cache import FlowCache
from dreaming.flow.dis import DisFlow

SIZE = (24, 32)
SHARP = partial(background_maps, slack=0, sigma=0)


def named(found):
    assert found.shape == (len(BACKGROUND_CHANNELS), *SIZE)
    assert found.dtype == np.float32
    return dict(zip(BACKGROUND_CHANNELS, found, strict=True))


def grey(level):
    return np.full((*SIZE, 3), level, np.uint8)


def test_quantiles_are_those_of_the_differences_summed_over_lab():
    others = [(grey(level), np.eye(3)) for level in (100, 90, 112, 130, 104)]
    found = named(SHARP(grey(100), others))  # differences 0, 30, 36, 90, 12
    for name, expected in (("minimum", 0), ("quarter", 12), ("half", 30), ("three_quarters", 36)):
        np.testing.assert_allclose(found[f"background_{name}"], expected / 50, rtol=1e-6)
    np.testing.assert_allclose(found["background_half_blurred"], 30 / 50, rtol=1e-5)
    np.testing.assert_allclose(found["background_samples"], 5 / 50, rtol=1e-6)


def test_pixels_outside_a_sample_are_not_compared_with_it():
    shifted = np.array([[1, 0, 8], [0, 1, 0], [0, 0, 1.0]])  # a pixel lies 8 further right there
    found = named(SHARP(grey(100), [(grey(150), np.eye(3)), (grey(100), shifted)]))
    assert found["background_minimum"][:, :24].max() == 0
    np.testing.assert_allclose(found["background_minimum"][:, 24:], 3, rtol=1e-6)
    np.testing.assert_allclose(found["background_samples"][0, [0, -1]], [2 / 50, 1 / 50], rtol=1e-6)


def test_slack_tolerates_a_registration_error():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    moved = np.roll(picture, 1, axis=1)
    strict, loose = (named(background_maps(picture, [(moved, np.eye(3))], slack, 0)) for slack in (0, 1))
    assert strict["background_minimum"][:, 1:-1].mean() > 1
    assert loose["background_minimum"][:, 1:-1].max() == 0


def test_without_samples_all_channels_are_zero():
    assert not SHARP(grey(100), []).any()


def test_a_moving_subject_stands_out_under_a_panning_camera(disc_clip):
    drawing = disc_clip(count=12, size=(72, 96), masks=(1, 12))
    # The camera pans two pixels a frame over a rough wall.
    wall = np.random.default_rng(0).integers(0, 200, (36, 72, 3), np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    stems = drawing.stems
    for index, stem in enumerate(stems):
        image = wall[:72, 2 * index : 2 * index + 96].copy()
        image[drawing.truth[stem]] = (250, 30, 30)
        drawing.clip.frames.write(stem, image)
    clip = Clip(drawing.clip.path)
    flows = FlowCache(clip, DisFlow(scale=1.0))
    flows.complete()
    colours = ColourLikelihood(clip, clip.size)
    difference = BackgroundDifference(clip, flows, colours.lab, clip.size, (4, 6, 8))
    for stem in (stems[3], stems[7]):
        found = dict(zip(BACKGROUND_CHANNELS, difference.compute(stem), strict=True))["background_half"]
        truth = drawing.truth[stem]
        # Most samples show wall where the disc is, and where it is not.
        assert np.median(found[truth]) > 5 * max(np.median(found[~truth]), 0.05)


def test_no_frame_and_no_camera_motion_is_computed_again_for_the_next_fit(disc_clip, monkeypatch):
    clip, size = disc_clip(count=9, size=SIZE, masks=(1, 9)).clip, SIZE
    flows = FlowCache(clip, DisFlow(scale=1.0))
    flows.complete()
    read, compared, both_ways = [], [], FlowCache.both_ways
    colours = ColourLikelihood(clip, size)
    difference = BackgroundDifference(clip, flows, lambda stem: read.append(stem) or colours.lab(stem), size, (1, 2))
    monkeypatch.setattr(FlowCache, "both_ways", lambda self, *pair: compared.append(pair) or both_ways(self, *pair))
    for stem in (*clip.stems, *clip.stems):
        difference.compute(stem)
    assert sorted(read) == list(clip.stems)
    assert len(compared) == len(clip.stems) - 1
