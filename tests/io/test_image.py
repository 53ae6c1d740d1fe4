"""Images of every format and pixel type are read alike; damaged ones raise an error that names the file."""

import io
import struct
import zlib
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import PIL.Image
import pytest
from PIL import PngImagePlugin

from dreaming.errors import FrameError
from dreaming.io import image as image_module
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.image import decode, decode_opacity

RNG = np.random.default_rng(3)
PICTURE = np.ascontiguousarray(cv2.resize(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), (40, 30)))  # (30, 40, 3)


def encoded(image, suffix, *options):
    """An image file's bytes; RGB or RGBA in, by OpenCV."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    return cv2.imencode(suffix, image, options)[1].tobytes()


def exif(orientation):
    """EXIF data that holds an orientation."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)


def exif_jpeg(orientation):
    """PICTURE as a JPEG with an EXIF orientation."""
    data = encoded(PICTURE, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 100)
    return data[:2] + segment(0xE1, b"Exif\0\0" + exif(orientation)) + data[2:]


def exif_tiff(image, orientation):
    """RGBA as a TIFF with an orientation."""
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "TIFF", tiffinfo={0x0112: orientation})
    return file.getvalue()


def segment(marker, body):
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2) + body


def palette_png(colours, indices, opacity=None):
    """A PNG with a palette: colours (N, 3), indices (H, W), optional opacities (N,)."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = indices.shape
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in indices)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", colours.tobytes())]
    chunks += [] if opacity is None else [(b"tRNS", opacity.tobytes())]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in chunks)


def rgb(path, data):
    """Read a file with these bytes as a frame."""
    path.write_bytes(data)
    return FrameFolder(path.parent).read(path.stem)


def probability(path, data):
    """Read a file with these bytes as a mask."""
    path.write_bytes(data)
    return FrameFolder(path.parent).read_probability(path.stem)


LOSSLESS = {
    "png": encoded(PICTURE, ".png"),
    "tif": encoded(PICTURE, ".tif"),
    "tiff": encoded(PICTURE, ".tiff", cv2.IMWRITE_TIFF_COMPRESSION, 1),
    "webp": encoded(PICTURE, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    "PNG": encoded(PICTURE.astype(np.uint16) * 257, ".png"),
    "TIF": encoded(PICTURE.astype(np.uint16) * 257, ".tif"),
}


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_lossless_formats_give_equal_rgb(tmp_path, suffix):
    found = rgb(tmp_path / f"1.{suffix}", LOSSLESS[suffix])
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, PICTURE)


@pytest.mark.parametrize("progressive", [0, 1])
def test_jpeg_gives_similar_rgb(tmp_path, progressive):
    options = (cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    found = rgb(tmp_path / "1.jpeg", encoded(PICTURE, ".jpg", *options))
    assert np.abs(found.astype(int) - PICTURE).mean() < 5


def test_grey_alpha_and_palette_become_rgb(tmp_path):
    grey = PICTURE[..., 0]
    alpha = np.dstack([PICTURE, np.full(grey.shape, 90, np.uint8)])
    colours, indices = RNG.integers(0, 256, (5, 3), dtype=np.uint8), RNG.integers(0, 5, (30, 40))
    path, deep = tmp_path / "1.png", grey.astype(np.uint16) * 257
    np.testing.assert_array_equal(rgb(path, encoded(grey, ".png")), np.dstack([grey] * 3))
    np.testing.assert_array_equal(rgb(path, encoded(deep, ".png")), np.dstack([grey] * 3))
    np.testing.assert_array_equal(rgb(path, encoded(alpha, ".png")), PICTURE)
    np.testing.assert_array_equal(rgb(path, palette_png(colours, indices)), colours[indices])


ORIENTED = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: np.swapaxes(image, 0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(np.swapaxes(image, 0, 1), 2),
    8: np.rot90,
}
"""How each EXIF orientation is turned upright."""


@pytest.mark.parametrize("orientation", ORIENTED)
def test_exif_orientation_is_applied(tmp_path, orientation):
    found = rgb(tmp_path / "1.jpg", exif_jpeg(orientation))
    expected = ORIENTED[orientation](PICTURE)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 5


def test_transparent_pixels_of_a_mask_are_background(tmp_path):
    mask = np.zeros((30, 40, 4), np.uint8)
    mask[..., :3] = 255  # as paint programs leave it below erased strokes
    mask[:10, :, 3], mask[10:20, :, 3] = 255, 102
    mask[:, 20:, :3] = 0
    colours = np.array([[255, 255, 255], [255, 255, 255], [0, 0, 0]], np.uint8)
    indices = np.repeat([0, 1, 2], 10)[:, None].repeat(40, axis=1)
    files = {
        "plain.png": encoded(mask, ".png"),
        "deep.png": encoded(mask.astype(np.uint16) * 257, ".png"),
        "tiff.tif": encoded(mask, ".tif"),
        "web.webp": encoded(mask, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    }
    for name, data in files.items():
        values = probability(tmp_path / name, data)
        assert values.dtype == np.float32
        np.testing.assert_allclose(values[[0, 10, 20]][:, [0, 20]], [[1, 0], [0.4, 0], [0, 0]], err_msg=name)
        np.testing.assert_array_equal(FrameFolder(tmp_path).read_mask(Path(name).stem)[[0, 10, 20], 0], [1, 0, 0])
    palette = palette_png(colours, indices, np.array([255, 0, 255], np.uint8))
    np.testing.assert_array_equal(probability(tmp_path / "palette.png", palette)[[0, 10, 20], 0], [1, 0, 0])


@pytest.mark.parametrize("side", [40, 30])
@pytest.mark.parametrize(
    ("suffix", "depth"), [(".png", np.uint8), (".png", np.uint16), (".webp", np.uint8), (".tif", np.uint8)]
)
@pytest.mark.parametrize("orientation", ORIENTED)
def test_colours_and_opacity_of_a_mask_are_turned_alike(tmp_path, side, suffix, depth, orientation):
    mask = np.zeros((30, side, 4), np.uint8)
    mask[:20, :, :3] = 255
    mask[:, :10, 3] = 255
    scale = np.iinfo(depth).max // 255
    if suffix == ".tif":
        data = exif_tiff(mask, orientation)
    else:
        pixels = mask[..., [2, 1, 0, 3]].astype(depth) * scale
        metadata = np.frombuffer(exif(orientation), np.uint8)
        lossless = (cv2.IMWRITE_WEBP_QUALITY, 101)
        data = cv2.imencodeWithMetadata(suffix, pixels, [cv2.IMAGE_METADATA_EXIF], [metadata], lossless)[1].tobytes()
    found = probability(tmp_path / f"1{suffix}", data)
    expected = ORIENTED[orientation](mask[..., 0] / 255.0 * mask[..., 3] / 255.0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_16_bit_opacity_keeps_its_precision(tmp_path):
    # Pillow would reduce it to 8 bits.
    mask = np.full((30, 40, 4), 65535, np.uint16)
    mask[..., 3] = 1000
    np.testing.assert_allclose(probability(tmp_path / "1.png", encoded(mask, ".png")), 1000 / 65535, rtol=1e-6)


def test_opaque_masks_are_read_by_their_colours(tmp_path):
    grey = PICTURE[..., 0]
    masks = {
        "grey.png": (grey, encoded(grey, ".png")),
        "colour.png": (PICTURE.max(axis=2), encoded(PICTURE, ".png")),
        "tiff.tif": (grey, encoded(grey, ".tif")),
    }
    for name, (expected, data) in masks.items():
        np.testing.assert_allclose(probability(tmp_path / name, data), expected / 255, rtol=1e-6)
    assert probability(tmp_path / "photo.jpg", exif_jpeg(6)).shape == (40, 30), "upright"


def test_only_a_png_that_can_be_transparent_is_decoded_twice(tmp_path, monkeypatch):
    named, plain = io.BytesIO(), PICTURE.copy()
    plain[2, 3] = 1, 2, 3
    PIL.Image.fromarray(plain).save(named, "PNG", transparency=(1, 2, 3))
    files = {
        "grey": (encoded(PICTURE[..., 0], ".png"), 0),
        "colour": (encoded(PICTURE, ".png"), 0),
        "palette": (palette_png(RNG.integers(0, 256, (4, 3), np.uint8), np.eye(4)), 0),
        "transparent colour": (named.getvalue(), 1),
        "transparent entry": (palette_png(RNG.integers(0, 256, (4, 3), np.uint8), np.eye(4), np.zeros(4, np.uint8)), 1),
        "alpha": (encoded(np.dstack([PICTURE, PICTURE[..., 0]]), ".png"), 1),
    }
    for name, (data, times) in files.items():
        path = tmp_path / f"{name}.png"
        path.write_bytes(data)
        decoder = Mock(wraps=decode)
        monkeypatch.setattr(image_module, "decode", decoder)
        opacity = decode_opacity(path)
        assert (decoder.call_count, opacity is not None) == (times, bool(times)), name
        if name == "transparent colour":
            np.testing.assert_array_equal(np.argwhere(opacity == 0), [[2, 3]])


def test_alpha_whose_orientation_cannot_be_read_is_used_with_a_warning(tmp_path, caplog):
    image = np.dstack([PICTURE, PICTURE[..., 0]])
    data, path = encoded(image, ".png"), tmp_path / "0003.png"
    path.write_bytes(data[:33] + struct.pack(">I", 4) + b"tEXta\0bc" + bytes(4) + data[33:])  # its checksum is wrong
    np.testing.assert_array_equal(np.rint(decode_opacity(path) * 255), image[..., 3])
    assert [(record.levelname, record.args[0]) for record in caplog.records] == [("WARNING", path)]


DAMAGED = {
    "cut png": ("png", LOSSLESS["png"][: len(LOSSLESS["png"]) // 2]),
    "cut jpg": ("jpg", encoded(PICTURE, ".jpg")[: len(encoded(PICTURE, ".jpg")) * 3 // 4]),
    "jpg without its last bytes": ("jpg", encoded(PICTURE, ".jpg")[:-2]),
    "jpg cut in its header": ("jpg", encoded(PICTURE, ".jpg")[:30]),
    "cut tif": ("tif", LOSSLESS["tif"][: len(LOSSLESS["tif"]) // 2]),
    "cut webp": ("webp", LOSSLESS["webp"][: len(LOSSLESS["webp"]) // 2]),
    "text": ("png", b"not a picture"),
    "a size no picture has": ("png", LOSSLESS["png"][:16] + b"\0\xff\xff\xff" * 2 + LOSSLESS["png"][24:]),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_damaged_files_are_refused_by_name(tmp_path, fault):
    suffix, data = DAMAGED[fault]
    with pytest.raises(FrameError) as refused:
        rgb(tmp_path / f"0007.{suffix}", data)
    assert refused.value.where == str(tmp_path / f"0007.{suffix}")


def test_a_picture_with_metadata_that_pillow_refuses_is_read(tmp_path):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("comment", "x" * 2 * PngImagePlugin.MAX_TEXT_CHUNK, zip=True)
    written, opacity = np.dstack([PICTURE, PICTURE[..., 0]]), io.BytesIO()
    PIL.Image.fromarray(written).save(opacity, "png", pnginfo=notes)
    assert np.array_equal(rgb(tmp_path / "0007.png", opacity.getvalue()), PICTURE)
    np.testing.assert_array_equal(decode_opacity(tmp_path / "0007.png"), written[..., 3] / np.float32(255))


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_truncated_jpeg_is_refused_though_its_thumbnail_is_complete(tmp_path, progressive):
    # OpenCV 5 does so itself; OpenCV 4 filled the missing part with grey.
    whole = encoded(PICTURE, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    thumbnail = segment(0xE1, b"Exif\0\0" + encoded(PICTURE[:8, :8], ".jpg"))
    whole = whole[:2] + thumbnail + b"\xff" + whole[2:]
    assert rgb(tmp_path / "whole.jpg", whole).shape == PICTURE.shape
    for end in range(2, len(whole), 41):
        with pytest.raises(FrameError):
            rgb(tmp_path / "cut.jpg", whole[:end])


def test_bytes_after_a_jpeg_are_ignored(tmp_path):
    # Phones append a second picture or a clip.
    whole = encoded(PICTURE, ".jpg")
    assert rgb(tmp_path / "1.jpg", whole + b"\x12\xff\xda\x34" * 9).shape == PICTURE.shape


def test_an_empty_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(FrameError) as empty:
        rgb(tmp_path / "empty.png", b"")
    assert empty.value.where == str(tmp_path / "empty.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(FrameError) as folder:
        decode(tmp_path / "folder.png")
    assert folder.value.where == str(tmp_path / "folder.png")


TIFF_ALPHA = pytest.mark.parametrize(("kind", "colour"), [(0, 200), (1, 100), (2, 200)])
"""Unspecified, associated (premultiplied) and unassociated alpha: a grey of 200 at half opacity."""


def tiff(kind, colour, opacity=128):
    """A TIFF whose alpha channel is declared as ``kind``."""
    pixels = np.full((4, 6, 4), colour, np.uint8)
    pixels[..., 3] = opacity
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "TIFF")
    entry = struct.pack("<HHI", 338, 3, 1)  # one extra sample, its kind in 16 bits
    head, matched, tail = file.getvalue().partition(entry)
    assert matched
    return head + entry + struct.pack("<H", kind) + tail[2:]


@TIFF_ALPHA
def test_the_opacity_of_a_tiff_mask_counts_once(tmp_path, kind, colour):
    found = probability(tmp_path / "1.tif", tiff(kind, colour))
    np.testing.assert_allclose(found, 200 / 255 * 128 / 255, atol=0.003)


@TIFF_ALPHA
def test_half_transparent_tiff_colours_are_those_that_were_painted(tmp_path, kind, colour):
    np.testing.assert_allclose(rgb(tmp_path / "1.tif", tiff(kind, colour)), 200, atol=1)


def test_fully_transparent_tiff_pixels_stay_black(tmp_path):
    assert not rgb(tmp_path / "1.tif", tiff(1, 0, opacity=0)).any()


@pytest.mark.parametrize(("kind", "name"), [("PNG", "1.tif"), ("TIFF", "1.png")])
def test_a_file_s_content_decides_not_its_suffix(tmp_path, kind, name):
    pixels, file = np.full((4, 6, 4), 200, np.uint8), io.BytesIO()
    pixels[..., 3] = 128
    PIL.Image.fromarray(pixels).save(file, kind)
    np.testing.assert_allclose(probability(tmp_path / name, file.getvalue()), 200 / 255 * 128 / 255, atol=0.003)
    np.testing.assert_allclose(rgb(tmp_path / name, file.getvalue()), 200, atol=1)
