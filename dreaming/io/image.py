"""Single image files: decoded by OpenCV, with metadata from Pillow; encoded as PNG."""

import logging
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.errors import FrameError
from dreaming.io.colour_profile import convert_to_srgb
from dreaming.io.picture_kind import describe_undecodable
from dreaming.io.types import Image, Probability

log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")

_ASSOCIATED, _UNASSOCIATED = 1, 2  # TIFF 6.0, ExtraSamples: colours are premultiplied by alpha, or are not


RUNS = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)
"""Options of OpenCV for pictures of large areas of one value."""


def encode_png(array: NDArray[Any], compression: int = 3, *, runs: bool = False) -> bytes:
    """Encode grey (H, W), RGB (H, W, 3) or RGBA (H, W, 4), uint8 or uint16, as PNG.

    ``runs`` compresses runs of equal values only, which takes a fifth of the time for masks, and gives smaller files.
    """
    if array.ndim == 3:
        array = cv2.cvtColor(array, cv2.COLOR_RGB2BGR if array.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    return cv2.imencode(".png", array, RUNS if runs else [cv2.IMWRITE_PNG_COMPRESSION, compression])[1].tobytes()


def decode(path: Path, flag: int = cv2.IMREAD_COLOR) -> NDArray[np.uint8]:
    """Decode an image file with OpenCV, by default to upright 8-bit BGR (H, W, 3).

    Raises:
        FrameError: If the file is unreadable, damaged or cut off.
    """
    try:
        data = path.read_bytes()
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise FrameError(path, found=found, expected="an image", hint="check the file and its permissions") from None
    except cv2.error:  # a size beyond OpenCV's limit, which only a damaged header claims
        image = None
    if image is None:
        found, hint = describe_undecodable(data) if data else ("an empty file", "")
        raise FrameError(
            path,
            topic="a-damaged-picture",
            found=found or "a damaged or truncated file, or no image",
            expected="a complete " + ", ".join(s[1:] for s in SUFFIXES) + " image",
            hint=hint or "export it again or remove it",
        )
    return image


def decode_rgb(path: Path) -> Image:
    """Decode an image file to upright 8-bit sRGB (H, W, 3), by its ICC profile; without alpha, not premultiplied.

    Raises:
        FrameError: If the file is unreadable, damaged or cut off.
    """
    image = cv2.cvtColor(decode(path), cv2.COLOR_BGR2RGB)
    if is_premultiplied(path):
        image = unpremultiply(image, decode_opacity(path))
    return convert_to_srgb(image, path, path.read_bytes())


def decode_opacity(path: Path) -> Probability | None:
    """Opacity of an image, (H, W) in 0..1, from its alpha channel or palette; None for an opaque image.

    Pillow would reduce 16-bit alpha to 8 bits and ignore the alpha channel of a TIFF that does not declare its kind.
    """
    if path.suffix.lower() in (".jpg", ".jpeg") or _is_opaque_png(path):
        return None
    image = decode(path, cv2.IMREAD_UNCHANGED)
    if image.ndim == 2 or image.shape[2] != 4:
        return None
    maximum = np.iinfo(image.dtype).max if np.issubdtype(image.dtype, np.integer) else 1
    return _apply_orientation(image[..., 3], path).astype(np.float32) / np.float32(maximum)


def _apply_orientation(alpha: NDArray[Any], path: Path) -> NDArray[Any]:
    """Rotate (H, W) upright by its EXIF orientation, which OpenCV with IMREAD_UNCHANGED does for TIFF only."""
    import PIL.Image  # here, because training code has to run where Pillow is not installed
    import PIL.ImageOps
    from PIL.ExifTags import Base
    from PIL.TiffImagePlugin import TiffImageFile

    try:
        with PIL.Image.open(path) as file:
            if isinstance(file, TiffImageFile):
                return alpha
            turned = PIL.Image.fromarray(alpha)
            turned.getexif()[Base.Orientation] = file.getexif().get(Base.Orientation, 1)
    except (OSError, ValueError, SyntaxError) as error:  # OpenCV has decoded the picture, but Pillow refuses it
        log.warning("%s: alpha is not rotated by EXIF, because its metadata cannot be read: %s", path, error)
        return alpha
    return np.asarray(PIL.ImageOps.exif_transpose(turned))


def _is_opaque_png(path: Path) -> bool:
    """Whether a file is a PNG without transparency, such as most frames and masks, which needs no second decoding."""
    kind = _png_colour_type(path)
    return kind == b"\0" or (kind in (b"\2", b"\3") and b"tRNS" not in _png_chunks_before_pixels(path))


def _png_chunks_before_pixels(path: Path) -> list[bytes]:
    """Types of a PNG's chunks up to the first one of its pixels; only those before it can make it transparent."""
    kinds: list[bytes] = []
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            kinds.append(head[4:])
            file.seek(int.from_bytes(head[:4]) + 4, os.SEEK_CUR)
    return kinds


def has_alpha(path: Path) -> bool:
    """Whether a file is a PNG with an alpha channel."""
    return _png_colour_type(path) in (b"\4", b"\6")


def _png_colour_type(path: Path) -> bytes:
    """IHDR's colour type of a PNG; empty for another file."""
    with path.open("rb") as file:
        header = file.read(26)
    return header[25:] if header.startswith(b"\x89PNG") else b""


def is_premultiplied(path: Path) -> bool:
    """Whether the colours that ``decode`` returns are multiplied by their opacity; only those of a TIFF can be.

    The file may store them premultiplied. If not, OpenCV (through libtiff) multiplies 8-bit colours, but not others.
    """
    import PIL.Image
    from PIL.TiffImagePlugin import BITSPERSAMPLE, EXTRASAMPLES, TiffImageFile

    try:
        with PIL.Image.open(path) as file:
            if not isinstance(file, TiffImageFile):
                return False
            alpha, bits = file.tag_v2.get(EXTRASAMPLES, ()), file.tag_v2.get(BITSPERSAMPLE, (1,))
    except (OSError, ValueError, SyntaxError):  # a kind, or metadata, that OpenCV alone reads; Pillow reads all RGBA
        return False
    return _ASSOCIATED in alpha or (_UNASSOCIATED in alpha and max(bits) == 8)


def unpremultiply(image: Image, opacity: Probability | None) -> Image:
    """Divide colours (H, W, 3) by their opacity (H, W) in 0..1; return them unchanged for None."""
    if opacity is None:
        return image
    divisor = np.where(opacity > 0, opacity, np.float32(1))[..., None]
    return np.rint(np.minimum(image / divisor, 255)).astype(np.uint8)
