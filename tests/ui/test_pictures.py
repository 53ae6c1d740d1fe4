"""Frames and thumbnails in the formats of browsers."""

import numpy as np

from dreaming.ui.pictures import HEIGHT, Thumbnails, frame_jpeg, grey_png


def test_a_frame_looks_as_the_stages_see_it(disc_clip, decoded):
    drawing = disc_clip()
    shown = decoded(frame_jpeg(drawing.clip, "0001"))[..., ::-1].astype(int)
    assert np.abs(shown - drawing.images["0001"]).mean() < 12  # of noise; red and blue swapped: over 50


def test_a_thumbnail_is_made_again_when_its_frame_changes(disc_clip, decoded):
    drawing, thumbnails = disc_clip(), Thumbnails()
    first = thumbnails.get(drawing.clip, "0001")
    assert decoded(first).shape == (HEIGHT, round(48 * HEIGHT / 32), 3)
    assert thumbnails.get(drawing.clip, "0001") is first
    drawing.save("frames/0001.png", 255 - drawing.images["0001"])
    assert thumbnails.get(drawing.clip, "0001") != first


def test_probabilities_are_sent_as_levels(decoded):
    levels = decoded(grey_png(np.array([[0, 0.5, 1]], np.float32)))
    assert levels.tolist() == [[0, 128, 255]]
