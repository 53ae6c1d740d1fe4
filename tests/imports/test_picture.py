"""Pictures whose colours are labels: the size counts before anything is decoded."""

import numpy as np
import PIL.Image
import pytest

from dreaming.errors import MaskError, SizeError
from dreaming.imports.picture import read_colours, read_indices, read_size


def test_colours_and_sizes(tmp_path):
    colours = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    PIL.Image.fromarray(colours).save(tmp_path / "x.png")
    assert read_size(tmp_path / "x.png") == (4, 6)
    np.testing.assert_array_equal(read_colours(tmp_path / "x.png", (4, 6)), colours)
    assert read_indices(tmp_path / "x.png") is None
    with pytest.raises(SizeError):
        read_colours(tmp_path / "x.png", (6, 4))


def test_a_picture_that_is_cut_off_is_refused(tmp_path):
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save(tmp_path / "x.png")
    data = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(MaskError):
        read_colours(tmp_path / "x.png", (40, 60))
