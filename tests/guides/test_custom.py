"""The custom guide: images of a user's folder, one per frame."""

import numpy as np
import pytest

from dreaming.errors import FrameError, SizeError
from dreaming.guides.custom import CustomGuide


def test_the_images_of_a_folder_are_drawn_and_fingerprinted(disc_clip):
    drawing = disc_clip()
    for stem in drawing.stems:
        drawing.save(f"depth/{stem}.png", drawing.styled[stem])
    guide, clip = CustomGuide(drawing.path / "depth"), drawing.clip
    drawn = dict(guide.draw(clip, None, ["0003", "0006"]))
    assert list(drawn) == ["0003", "0006"]
    assert np.array_equal(drawn["0006"], drawing.styled["0006"])
    before = guide.inputs(clip, None)
    drawing.save("depth/0008.png", drawing.styled["0001"])
    assert guide.inputs(clip, None) != before


def test_missing_images_and_images_of_another_size_are_rejected(disc_clip):
    drawing = disc_clip()
    drawing.save("depth/0001.png", np.zeros((5, 5, 3), np.uint8))
    guide = CustomGuide(drawing.path / "depth")
    with pytest.raises(FrameError) as caught:
        guide.inputs(drawing.clip, None)
    assert caught.value.where == str(drawing.path / "depth")
    assert "7 of 8" in caught.value.found
    with pytest.raises(SizeError):
        list(guide.draw(drawing.clip, None, ["0001"]))
