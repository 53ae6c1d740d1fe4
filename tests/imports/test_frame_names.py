"""Images are matched with frames by their names, else by their numbers."""

import pytest

from dreaming.errors import MaskError
from dreaming.imports.frame_names import match_frames

STEMS = ["0001", "0002", "0003"]


@pytest.mark.parametrize(
    ("images", "stems", "zero", "frames"),
    [
        (["0003", "0001"], STEMS, False, ["0003", "0001"]),
        (["0003", "0001"], STEMS, True, ["0003", "0001"]),
        (["shot.2"], STEMS, False, ["0002"]),
        (["00000", "00002"], STEMS, False, ["0001", "0003"]),
        (["00000", "00002"], ["0", "1", "2"], False, ["0", "2"]),
        (["frame_000001"], STEMS, True, ["0002"]),
        (["frame_000001"], STEMS, False, ["0001"]),
        (["x1001"], ["1001", "1002"], False, ["1001"]),
    ],
)
def test_images_have_frames(images, stems, zero, frames):
    matched = match_frames(images, stems, "x", counts_from_zero=zero)
    assert [matched[image] for image in images] == frames


@pytest.mark.parametrize("images", [["0004"], ["cat"], ["a1", "b1"], ["0001", "cat"], ["00000", "00003"]])
def test_an_image_without_a_frame_is_refused(images):
    with pytest.raises(MaskError):
        match_frames(images, STEMS, "x")
