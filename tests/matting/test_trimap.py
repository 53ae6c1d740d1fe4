"""Trimaps: the band of unknown pixels is wide where a mask is uncertain."""

import numpy as np

from dreaming.matting.trimap import make_trimap, with_certain_sides


def test_the_band_adapts_to_the_mask():
    mask = np.zeros((40, 60), np.float32)
    mask[:, 30:] = 1
    mask[20:, 25:35] = np.linspace(0.1, 0.9, 10)
    found = make_trimap(mask, 3)
    assert set(np.unique(found)) == {0, 0.5, 1}
    sharp, soft = ([row.tolist().count(0.5), row.argmax()] for row in (found[5], found[35]))
    assert sharp == [8, 34]
    assert soft == [16, 38]


def test_a_mask_is_certain_far_from_its_outline():
    mask = np.full((60, 120), 0.3, np.float32)
    mask[10:50, 20:60] = 0.7
    found = with_certain_sides(mask, 4)
    assert found[30, 20] == found[30, 22] == np.float32(0.7)
    assert 0.75 < found[30, 25] < 0.95
    assert (found[20:40, 30:50] == 1).all()
    assert found[30, 60] == found[30, 66] == np.float32(0.3)
    assert 0.05 < found[30, 71] < 0.25
    assert not found[:, 80:].any()


def test_a_frame_without_foreground_is_background():
    assert not make_trimap(np.full((8, 9), 0.4, np.float32), 2).any()
