"""Closed-form and KNN matting by PyMatting, if it is installed: tiles have no seams, and edges are found."""

import numpy as np
import pytest

from dreaming.imaging.morphology import feather
from dreaming.matting import laplacian
from dreaming.matting.trimap import make_trimap

pytest.importorskip("pymatting")


def drawn():
    matte = np.zeros((60, 110), np.float32)
    matte[20:45, 20:90] = 1
    noise = np.random.default_rng(0).integers(0, 6, (60, 110, 3))
    image = (matte[..., None] * [180, 90, 40] + (1 - matte[..., None]) * [40, 90, 160] + noise).astype(np.uint8)
    return image, matte, feather(np.roll(matte, 2, 1), 2)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["closed_form", "knn"])
def test_the_edge_is_that_of_the_frame(method):
    image, matte, mask = drawn()
    found = laplacian.refine_laplacian(image, mask, make_trimap(mask, 5), method)
    assert np.square(found - matte).mean() < 0.2 * np.square(mask - matte).mean()


@pytest.mark.slow
def test_tiles_have_no_seams(monkeypatch):
    image, _, mask = drawn()
    whole = laplacian.refine_laplacian(image, mask, make_trimap(mask, 5), "closed_form")
    monkeypatch.setattr(laplacian, "CELL", 30)
    tiled = laplacian.refine_laplacian(image, mask, make_trimap(mask, 5), "closed_form")
    assert np.abs(tiled - whole).max() < 0.02
