"""Pictures kept as TIFF, whose opacity counts once however it is kept, and whose colours are those of the painter."""

import io
import struct

import numpy as np
import PIL.Image
import pytest

from dreaming.io.frame_folder import FrameFolder

KINDS = pytest.mark.parametrize(("kind", "colour"), [(0, 200), (1, 100), (2, 200)])
"""Unspecified, multiplied into the colours, and apart from them: a grey of 200 behind half of it."""


def save(path, kind, colour, opacity=128):
    pixels = np.full((4, 6, 4), colour, np.uint8)
    pixels[..., 3] = opacity
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "TIFF")
    entry = struct.pack("<HHI", 338, 3, 1)  # one extra sample, of a kind in 16 bits
    head, found, tail = file.getvalue().partition(entry)
    assert found
    path.write_bytes(head + entry + struct.pack("<H", kind) + tail[2:])


@KINDS
def test_the_opacity_of_a_mask_counts_once(tmp_path, kind, colour):
    save(tmp_path / "0001.tif", kind, colour)
    found = FrameFolder(tmp_path).read_probability("0001")
    np.testing.assert_allclose(found, 200 / 255 * 128 / 255, atol=0.003)


@KINDS
def test_colours_are_as_they_were_painted_where_half_transparent(tmp_path, kind, colour):
    save(tmp_path / "0001.tif", kind, colour)
    np.testing.assert_allclose(FrameFolder(tmp_path).read("0001"), 200, atol=1)


def test_where_nothing_is_painted_no_colour_is_made_up(tmp_path):
    save(tmp_path / "0001.tif", 1, 0, opacity=0)
    assert not FrameFolder(tmp_path).read("0001").any()


def test_a_mask_that_is_no_tiff_but_is_named_so_is_read_as_what_it_is(tmp_path):
    pixels = np.full((4, 6, 4), 200, np.uint8)
    pixels[..., 3] = 128
    PIL.Image.fromarray(pixels).save(tmp_path / "0001.tif", "PNG")
    found = FrameFolder(tmp_path).read_probability("0001")
    np.testing.assert_allclose(found, 200 / 255 * 128 / 255, atol=0.003)
