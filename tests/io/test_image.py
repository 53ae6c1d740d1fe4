"""Picture files of all kinds: read alike, or refused by name."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from dreaming.errors import FrameError
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.image import decode, is_cut_off_jpeg

RNG = np.random.default_rng(3)
PICTURE = np.ascontiguousarray(cv2.resize(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), (40, 30)))  # (30, 40, 3)


def encoded(image, suffix, *options):
    """An image file's bytes; RGB or RGBA in, by OpenCV."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    return cv2.imencode(suffix, image, options)[1].tobytes()


def exif(orientation):
    """What a picture's header says of how to turn it."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)


def exif_jpeg(orientation):
    """PICTURE as a JPEG whose EXIF header tells how to turn it."""
    data = encoded(PICTURE, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 100)
    return data[:2] + segment(0xE1, b"Exif\0\0" + exif(orientation)) + data[2:]


def exif_tiff(image, orientation):
    """RGBA as a TIFF that tells how to turn it."""
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "TIFF", tiffinfo={0x0112: orientation})
    return file.getvalue()


def segment(marker, body):
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2) + body


def palette_png(colours, indices, opacity=None):
    """A PNG with a palette: colours (N, 3), indices (H, W), perhaps the colours' opacity (N,)."""

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
    """What a file of these bytes shows as a frame."""
    path.write_bytes(data)
    return FrameFolder(path.parent).read(path.stem)


def painted(path, data):
    """What a file of these bytes says as a mask."""
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
def test_every_lossless_format_gives_the_same_rgb(tmp_path, suffix):
    found = rgb(tmp_path / f"1.{suffix}", LOSSLESS[suffix])
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, PICTURE)


@pytest.mark.parametrize("progressive", [0, 1])
def test_jpeg_gives_nearly_the_same(tmp_path, progressive):
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


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, -1), (3, 2), (8, 1)])
def test_exif_turns_are_followed(tmp_path, orientation, turns):
    found = rgb(tmp_path / "1.jpg", exif_jpeg(orientation))
    expected = np.rot90(PICTURE, turns)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 5


def test_what_is_transparent_in_a_mask_is_background(tmp_path):
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
        values = painted(tmp_path / name, data)
        assert values.dtype == np.float32
        np.testing.assert_allclose(values[[0, 10, 20]][:, [0, 20]], [[1, 0], [0.4, 0], [0, 0]], err_msg=name)
        np.testing.assert_array_equal(FrameFolder(tmp_path).read_mask(Path(name).stem)[[0, 10, 20], 0], [1, 0, 0])
    palette = palette_png(colours, indices, np.array([255, 0, 255], np.uint8))
    np.testing.assert_array_equal(painted(tmp_path / "palette.png", palette)[[0, 10, 20], 0], [1, 0, 0])


@pytest.mark.parametrize("side", [40, 30])
@pytest.mark.parametrize(
    ("suffix", "depth"), [(".png", np.uint8), (".png", np.uint16), (".webp", np.uint8), (".tif", np.uint8)]
)
@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, -1), (3, 2), (8, 1)])
def test_colour_and_opacity_of_a_mask_are_turned_alike(tmp_path, side, suffix, depth, orientation, turns):
    mask = np.zeros((30, side, 4), np.uint8)
    mask[:20, :, :3] = 255
    mask[:, :10, 3] = 255
    scale = np.iinfo(depth).max // 255
    if suffix == ".tif":
        data = exif_tiff(mask, orientation)
    else:
        pixels = mask[..., [2, 1, 0, 3]].astype(depth) * scale
        told = np.frombuffer(exif(orientation), np.uint8)
        lossless = (cv2.IMWRITE_WEBP_QUALITY, 101)
        data = cv2.imencodeWithMetadata(suffix, pixels, [cv2.IMAGE_METADATA_EXIF], [told], lossless)[1].tobytes()
    found = painted(tmp_path / f"1{suffix}", data)
    expected = np.rot90(mask[..., 0] / 255.0 * mask[..., 3] / 255.0, turns)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_mask_without_transparency_is_read_as_it_was(tmp_path):
    grey = PICTURE[..., 0]
    masks = {
        "grey.png": (grey, encoded(grey, ".png")),
        "colour.png": (PICTURE.max(axis=2), encoded(PICTURE, ".png")),
        "tiff.tif": (grey, encoded(grey, ".tif")),
    }
    for name, (expected, data) in masks.items():
        np.testing.assert_allclose(painted(tmp_path / name, data), expected / 255, rtol=1e-6)
    assert painted(tmp_path / "photo.jpg", exif_jpeg(6)).shape == (40, 30), "turned as its header says"


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
    with pytest.raises(FrameError, match=rf"0007\.{suffix}: found a file that is damaged, cut off or no picture"):
        rgb(tmp_path / f"0007.{suffix}", data)


def test_a_jpeg_s_thumbnail_does_not_hide_its_early_end(tmp_path):
    thumbnail = segment(0xE1, b"Exif\0\0" + encoded(PICTURE[:8, :8], ".jpg"))
    whole = encoded(PICTURE, ".jpg")
    with_thumbnail = whole[:2] + thumbnail + whole[2:]
    assert rgb(tmp_path / "whole.jpg", with_thumbnail).shape == PICTURE.shape
    with pytest.raises(FrameError, match=r"cut\.jpg: found a file that is damaged"):
        rgb(tmp_path / "cut.jpg", with_thumbnail[:-40])


@pytest.mark.parametrize("progressive", [0, 1])
def test_the_end_of_a_jpeg_is_looked_for_whatever_opencv_does(progressive):
    # OpenCV 5 refuses a cut-off JPEG by itself, OpenCV 4 fills it up with grey.
    whole = encoded(PICTURE, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    whole = whole[:2] + segment(0xE1, b"Exif\0\0" + whole) + b"\xff" + whole[2:]
    assert not is_cut_off_jpeg(whole)
    assert all(is_cut_off_jpeg(whole[:end]) for end in range(2, len(whole), 7))
    assert not is_cut_off_jpeg(LOSSLESS["png"][:50]), "another format's business"


def test_what_follows_a_jpeg_is_ignored(tmp_path):
    # Phones append a second picture or a clip, in which any bytes may stand.
    whole = encoded(PICTURE, ".jpg")
    assert rgb(tmp_path / "1.jpg", whole + b"\x12\xff\xda\x34" * 9).shape == PICTURE.shape


def test_an_empty_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(FrameError, match=r"empty\.png: found an empty file"):
        rgb(tmp_path / "empty.png", b"")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(FrameError, match=r"folder\.png: found a file that cannot be read \(Is a directory\)"):
        decode(tmp_path / "folder.png")
