"""The edge guide: the slope of a blurred step, in any direction and colour."""

import numpy as np

from dreaming.guides.edges import EdgeGuide


def test_the_slope_of_a_blurred_step():
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, 20:] = 255
    found = EdgeGuide(sigma=2.0, max_slope=100.0).draw_image(image)
    assert found.shape == (20, 40, 1)
    assert not found[:, :10].any()
    assert not found[:, 30:].any()
    # A step of 255 blurred by sigma rises by 255 / (sigma sqrt(2 pi)) = 50.9 levels per pixel at its middle; Scharr's
    # difference over two pixels yields 48.
    assert 0.46 * 255 < found[10, 19, 0] < 0.51 * 255
    assert found[10, 19, 0] == found[10, 20, 0]


def test_horizontal_edges_and_colour_edges_are_drawn():
    image = np.zeros((40, 20, 3), np.uint8)
    image[20:] = 255
    assert EdgeGuide(sigma=1.0, max_slope=20.0).draw_image(image).max() == 255
    coloured = np.full((20, 20, 3), 100, np.uint8)
    coloured[:, 10:] = [160, 80, 50]
    assert EdgeGuide().draw_image(coloured).max() > 60


def test_frames_are_drawn_in_order(disc_clip):
    clip = disc_clip().clip
    guide = EdgeGuide(workers=2)
    assert guide.channels == 1
    drawn = dict(guide.draw(clip, None, clip.stems[::2]))
    assert list(drawn) == clip.stems[::2]
    assert np.array_equal(drawn["0003"], guide.draw_image(clip.frames.read("0003")))
