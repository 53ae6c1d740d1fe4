"""Trimaps: the band of unknown pixels is wide where a mask is uncertain."""

import numpy as np

from dreaming.matting.trimap import make_trimap


def test_the_band_adapts_to_the_mask():
    mask = np.zeros((40, 60), np.float32)
    mask[:, 30:] = 1
    mask[20:, 25:35] = np.linspace(0.1, 0.9, 10)
    found = make_trimap(mask, 3)
    assert set(np.unique(found)) == {0, 0.5, 1}
    sharp, soft = ([row.tolist().count(0.5), row.argmax()] for row in (found[5], found[35]))
    assert sharp == [8, 34]
    assert soft == [16, 38]


def test_a_frame_without_foreground_is_background():
    assert not make_trimap(np.full((8, 9), 0.4, np.float32), 2).any()
