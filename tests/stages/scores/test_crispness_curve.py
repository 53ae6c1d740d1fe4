"""Crispness over time is 1 where frames are as crisp as the keyframes, also where these are painted in part."""

import cv2
import numpy as np
import pytest

from dreaming.clip.shots import Shots
from dreaming.stages.scores.crispness_curve import TOP, CrispnessCurve, measure_crispness


def draw(drawing, blurred):
    """Stylise a clip as painted, but for one frame that is blurred."""
    for stem, image in drawing.styled.items():
        drawing.save(f"styled/painted/{stem}.png", cv2.GaussianBlur(image, (0, 0), 2) if stem == blurred else image)


@pytest.mark.parametrize("part", [False, True])
def test_a_blurred_frame_is_below_1_and_the_others_are_at_1(disc_clip, part):
    drawing = disc_clip(keyframes=(2, 7))
    draw(drawing, "0004")
    if part:
        half = np.zeros((32, 48), bool)
        half[:, :24] = True
        drawing.save("keyframes/painted/masks/0002.png", half)
        spoiled = np.where(half[..., None], drawing.styled["0002"], 0).astype(np.uint8)
        drawing.save("keyframes/painted/0002.png", spoiled)
    (layer,) = drawing.clip.layers
    curve = measure_crispness(drawing.clip, layer)
    assert (curve.stems, curve.keyframes) == (drawing.stems, [1, 6])
    values = dict(zip(curve.stems, curve.values, strict=True))
    assert values.pop("0004") < 0.5
    np.testing.assert_allclose(list(values.values()), 1, atol=0.1)
    assert curve.step > 0.5


def test_without_a_stylised_keyframe_there_is_no_curve(disc_clip):
    drawing = disc_clip(keyframes=(4,))
    (layer,) = drawing.clip.layers
    assert measure_crispness(drawing.clip, layer) is None


def test_points_lie_in_the_plot():
    curve = CrispnessCurve("a", ["1", "2", "3"], [0, 1, 9], [0], Shots(["1", "2", "3"]))
    assert curve.points(100, 30) == [(0, 30), (50, 30 - 30 / TOP), (100, 0)]
    assert CrispnessCurve("a", ["1"], [1.5], [0], Shots(["1"])).points(100, 30) == [(50, 0)]


def test_a_cut_is_no_jump():
    assert CrispnessCurve("a", ["1", "2", "3"], [0, 1, 9], [0], Shots(["1", "2", "3"], ["3"])).step == 1
