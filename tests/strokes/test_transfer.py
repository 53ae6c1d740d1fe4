"""Strokes of keyframes on blurred frames: as crisp as painted, in their places, and none of an unpainted place."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dreaming.flow.dis import DisFlow
from dreaming.strokes.keyframe import Keyframe
from dreaming.strokes.transfer import StrokeTransfer

SIZE = (96, 128)
TRANSFER = StrokeTransfer(DisFlow(scale=1.0), workers=1)
EVERYWHERE = np.ones(SIZE, bool)


def crispness(image):
    return np.abs(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), cv2.CV_32F)).mean()


def blurred(image):
    return cv2.GaussianBlur(image, (0, 0), 1.2)


@pytest.fixture
def scene():
    """Cut the frame and its painting, or another one of the same motion, out of larger ones: ``scene(dx, paint)``."""
    rng = np.random.default_rng(4)
    large = [rng.uniform(0, 255, (SIZE[0] + 40, SIZE[1] + 40, 3)).astype(np.float32) for _ in range(3)]
    frame = cv2.normalize(cv2.GaussianBlur(large[0], (0, 0), 3), None, 20, 230, cv2.NORM_MINMAX)
    paintings = [np.clip(frame / 2 + cv2.GaussianBlur(noise, (0, 0), 1), 0, 255) for noise in large[1:]]

    def cut(dx=0, paint=0):
        where = np.s_[20 : 20 + SIZE[0], 20 + dx : 20 + dx + SIZE[1]]
        return frame[where].astype(np.uint8), paintings[paint][where].astype(np.uint8)

    return cut


@pytest.mark.parametrize(("dx", "steps"), [(0, 0), (5, 1), (12, 6)])
def test_blurred_frames_get_the_strokes_of_their_keyframe(scene, dx, steps):
    frame, painted = scene(dx)
    network = blurred(painted)
    assert crispness(network) < 0.5 * crispness(painted)
    result = TRANSFER.transfer(frame, network, [(Keyframe(*scene(), EVERYWHERE), steps)])
    inside = np.s_[:, : SIZE[1] - 20]  # the keyframe does not show the rest
    assert 0.8 * crispness(painted[inside]) < crispness(result[inside]) < 1.25 * crispness(painted[inside])
    before, after = (np.abs(image[inside] - painted[inside].astype(float)).mean() for image in (network, result))
    assert after < 0.6 * before


def test_colours_stay_the_network_s(scene):
    frame, painted = scene(5)
    network = blurred(painted) // 2 + 60
    result = TRANSFER.transfer(frame, network, [(Keyframe(*scene(), EVERYWHERE), 1)])
    coarse = [cv2.GaussianBlur(image, (0, 0), 12).astype(float) for image in (network, result)]
    assert np.abs(coarse[0] - coarse[1]).mean() < 2


def test_each_place_takes_the_keyframe_that_shows_it(scene):
    frame, painted = scene()
    left = np.zeros(SIZE, bool)
    left[:, :64] = True
    right_frame, right_painted = scene(paint=1)
    keyframes = [(Keyframe(frame, painted, left), 3), (Keyframe(right_frame, right_painted, ~left), 3)]
    network = np.where(left[..., None], blurred(painted), blurred(right_painted))
    result = TRANSFER.transfer(frame, network, keyframes).astype(float)
    for inside, own, other in ((np.s_[:, :44], painted, right_painted), (np.s_[:, 84:], right_painted, painted)):
        error, wrong = (np.abs(result[inside] - image[inside]).mean() for image in (own, other))
        assert error < 0.4 * wrong


def test_unpainted_pixels_have_no_effect(scene):
    frame, painted = scene(4)
    key_frame, key_painted = scene()
    mask = EVERYWHERE.copy()
    mask[:, :60] = False
    other = np.where(mask[..., None], key_painted, np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8))
    one, two = (
        TRANSFER.transfer(frame, blurred(painted), [(Keyframe(key_frame, key, mask), 4)]).astype(float)
        for key in (key_painted, other)
    )
    assert np.abs(one - two).mean() < 0.5
    assert np.abs(one - two)[:, 80:].max() < 5  # flow and grain see 20 pixels into the unpainted part


def test_a_keyframe_that_shows_nothing_changes_nothing(scene):
    frame, painted = scene()
    nothing = Keyframe(*scene(), ~EVERYWHERE)
    np.testing.assert_allclose(TRANSFER.transfer(frame, painted, [(nothing, 9)]), painted, atol=1)


def test_grain_is_laid_in_place_where_the_flow_is_of_no_use(scene):
    frame, _ = scene()
    noise = np.random.default_rng(6).normal(0, 6, (2, *SIZE, 1))
    keyframe = Keyframe(frame, np.clip(frame + noise[0], 0, 255).astype(np.uint8), EVERYWHERE)
    unlike = np.ascontiguousarray(frame[::-1])
    smooth = unlike // 2 + 60
    plain, result = (
        StrokeTransfer(DisFlow(scale=1.0), grain=share, workers=1).transfer(unlike, smooth, [(keyframe, 5)])
        for share in (0.0, 1.0)
    )
    added = (result.astype(float) - plain).mean(axis=2)
    same, other = (np.corrcoef(added.ravel(), each.ravel())[0, 1] for each in noise)
    assert same > 0.8
    assert abs(other) < 0.1
    assert crispness(result) == pytest.approx(crispness(keyframe.painted), rel=0.2)


def test_grain_has_the_tint_of_the_network_s_strokes(scene):
    frame, _ = scene()
    noise, faint = np.random.default_rng(6).normal(0, [[[9]], [[4]]], (2, *SIZE))
    keyframe = Keyframe(frame, np.clip(frame + noise[..., None], 0, 255).astype(np.uint8), EVERYWHERE)
    network = (128 + faint[..., None] * [1.5, 0.75, 0.0]).astype(np.uint8)
    plain, result = (
        replace(TRANSFER, grain=share).transfer(np.ascontiguousarray(frame[::-1]), network, [(keyframe, 5)])
        for share in (0.0, 1.0)
    )
    added = (result.astype(float) - plain).std(axis=(0, 1))
    assert added[0] > 3
    np.testing.assert_allclose(added / added[0], [1, 0.5, 0], atol=0.15)


def test_near_a_keyframe_frames_are_made_crisper(scene):
    frame, painted = scene()
    soft, plain = cv2.GaussianBlur(painted, (0, 0), 0.5), replace(TRANSFER, grain=0.0, max_gain=1.0, tolerance=0.1)
    unlike, keyframe = np.ascontiguousarray(frame[::-1]), Keyframe(frame, painted, EVERYWHERE)
    near, later, far = (crispness(plain.transfer(unlike, soft, [(keyframe, steps)])) for steps in (1, 3, 30))
    assert near > later > far > crispness(soft)
    assert near / crispness(painted) == pytest.approx(0.92, abs=0.04)


def test_without_grain_faint_strokes_are_amplified_more(scene):
    frame, painted = scene()
    left = EVERYWHERE.copy()
    left[:, 64:] = False
    network = blurred(painted)
    results = [
        TRANSFER.transfer(np.ascontiguousarray(frame[::-1]), network, [(Keyframe(*scene(paint=1), mask), 5)])
        for mask in (EVERYWHERE, left)
    ]
    assert crispness(network) < min(map(crispness, results))
    assert not np.array_equal(*(result[:, 100:] for result in results))


def test_only_the_statistics_of_strokes_cross_a_cut(scene, cut_clip):
    frame, painted = scene()
    half = EVERYWHERE.copy()
    half[:, 64:] = False
    one, other = (Keyframe(frame[:, ::way], painted[:, ::way], half[:, ::way]) for way in (1, -1))
    flat, tolerant = np.full_like(painted, 90), replace(TRANSFER, tolerance=200.0)
    np.testing.assert_array_equal(tolerant.transfer(frame, flat, [(one, 1)], visible=False), flat)
    results = [TRANSFER.transfer(frame, blurred(painted), [(key, 1)], visible=False) for key in (one, other)]
    assert np.abs(results[0].astype(float) - results[1]).max() < 6, "strokes have no position in another shot"
    assert crispness(results[0]) > 1.5 * crispness(blurred(painted))
    drawing = cut_clip(keyframes=(2, 5))
    clip = drawing.clip
    dull = {stem: cv2.GaussianBlur(styled, (0, 0), 2) for stem, styled in drawing.styled.items()}
    found = dict(TRANSFER.apply(clip, clip.layers[0], dull.items()))
    nearest = Keyframe(drawing.images["0005"], drawing.styled["0005"], np.ones((48, 84), bool))
    for stem in clip.stems[6:]:
        expected = TRANSFER.transfer(drawing.images[stem], dull[stem], [(nearest, int(stem) - 5)], visible=False)
        np.testing.assert_array_equal(found[stem], expected)


@pytest.mark.parametrize("size", [(1, 8), (8, 1), (1, 1)])
def test_a_single_row_or_column_ends(size):
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert TRANSFER.transfer(frame, frame, [(Keyframe(frame, frame, np.ones(size, bool)), 1)]).shape == frame.shape
