"""Colours and orientation of decoded frames."""

from fractions import Fraction

import numpy as np
import pytest
from drawn_video import SCENE, corners, film, scene, warnings

from dreaming.video.metadata import VideoMetadata
from dreaming.video.reader import probe, read_frames


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv444p10le"])
@pytest.mark.parametrize("limits", ["MPEG", "JPEG"])
@pytest.mark.parametrize(("matrix", "tag"), [("ITU709", 1), ("ITU601", 6), ("BT2020", 9)])
def test_range_and_matrix_of_the_file_are_used(tmp_path, pix_fmt, limits, matrix, tag):
    path = film(
        tmp_path / "tagged.mkv",
        "libx264",
        pix_fmt,
        pts=[0],
        options={"crf": "1"},
        convert={"dst_colorspace": matrix, "dst_color_range": limits},
        stream={"colorspace": tag, "color_range": 1 if limits == "MPEG" else 2},
    )
    ((_, image),) = read_frames(path)
    assert np.abs(corners(image) - SCENE).max() <= 3


@pytest.mark.parametrize(("size", "matrix"), [((48, 64), "ITU601"), ((592, 64), "ITU709"), ((16, 1280), "ITU709")])
def test_without_a_matrix_that_of_players_is_used(tmp_path, size, matrix):
    path = film(tmp_path / "unnamed.mp4", size=size, pts=[0], options={"crf": "1"}, convert={"dst_colorspace": matrix})
    ((_, image),) = read_frames(path)
    assert np.abs(corners(image) - SCENE)[1:].max() <= 6  # the other matrix is off by more than 20


@pytest.mark.parametrize(
    ("turn", "clockwise", "upright"),
    [
        ((0,), 0, lambda image: image),
        ((90,), 270, lambda image: np.rot90(image)),
        ((180,), 180, lambda image: np.rot90(image, 2)),
        ((-90,), 90, lambda image: np.rot90(image, -1)),
        ((0, True), 0, lambda image: image[:, ::-1]),
    ],
)
def test_rotated_videos_give_upright_frames(tmp_path, turn, clockwise, upright):
    path = film(tmp_path / "phone.mov", turn=turn)
    source = probe(path)
    frames = [image for _, image in read_frames(path)]
    expected = upright(scene(48, 64))
    assert source.size == frames[0].shape[:2] == expected.shape[:2]
    if len(turn) == 1:
        assert source.rotation == clockwise
    for image in frames:
        assert np.abs(corners(image) - corners(expected)).max() <= 20
        assert np.abs(image.astype(int) - expected).mean() < 20


def test_non_square_pixels_are_resampled(tmp_path):
    path = film(tmp_path / "dv.mp4", stream={"sample_aspect_ratio": Fraction(3, 2)})
    assert probe(path).size == (48, 96)
    assert next(read_frames(path))[1].shape == (48, 96, 3)


def test_a_turn_that_is_no_quarter_is_rounded_with_a_warning(tmp_path, caplog):
    path = film(tmp_path / "tilted.mov", turn=(-75,))
    source = probe(path)
    assert (source.rotation, source.size) == (90, (64, 48))
    assert next(read_frames(path, source))[1].shape == (64, 48, 3)
    ((where, _, turned),) = warnings(caplog)
    assert (where, turned) == (path, 90)
    assert VideoMetadata.from_json(source.to_json()) == source
