"""Conversion of images from their embedded ICC profile to sRGB (Pillow)."""

import io
import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dreaming.io.types import Image

log = logging.getLogger(__name__)

_MARKS = (b"iCCP", b"ICC_PROFILE\0", b"ICCP")  # of PNG, JPEG and WebP
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def convert_to_srgb(image: Image, path: Path, data: bytes) -> Image:
    """Convert a decoded image to sRGB by its file's ICC profile, with relative colorimetric intent.

    Args:
        image: RGB (H, W, 3), as stored in the file.
        path: The file, for warnings.
        data: The file's content.

    Returns:
        The converted image, or the same without a profile, with sRGB, or, with a warning, with an unusable profile.
    """
    # A TIFF declares its profile anywhere in the file; the others near the start, though after a thumbnail.
    if not data.startswith((b"II", b"MM")) and not any(mark in data[: 1 << 20] for mark in _MARKS):
        return image
    import PIL.Image  # here, because training code has to run where Pillow is not installed
    import PIL.ImageOps

    try:
        with PIL.Image.open(io.BytesIO(data)) as file:
            profile = file.info.get("icc_profile")
            found = _transform(profile, path) if profile else None
            if found is None:
                return image
            mode, transform = found
            if mode == "CMYK":
                if file.mode != "CMYK":
                    return image
                return np.asarray(transform.apply(PIL.ImageOps.exif_transpose(file)))
    except (OSError, ValueError, SyntaxError):  # a kind, or metadata, that OpenCV alone reads
        return image
    source = PIL.Image.fromarray(image if mode == "RGB" else np.ascontiguousarray(image[..., 1]))
    return np.asarray(transform.apply(source))


@lru_cache(maxsize=16)
def _transform(profile: bytes, path: Path) -> tuple[str, Any] | None:
    """The source's mode and its transform; None for sRGB, and with a warning for a damaged profile."""
    found = _build(profile)
    if isinstance(found, str):
        log.warning("%s: unusable ICC profile (%s); its colours are taken as sRGB", path, found)
        return None
    return found


@lru_cache(maxsize=16)
def _build(profile: bytes) -> tuple[str, Any] | str | None:
    import PIL.Image
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space not in _MODES:
            return f"colour space {space}"
        mode = _MODES[space]
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError) as error:
        return str(error)
    if mode == "RGB":
        grid = np.stack(np.meshgrid(*[np.arange(0, 256, 17).astype(np.uint8)] * 3), axis=-1).reshape(64, 64, 3)
        if np.abs(np.asarray(transform.apply(PIL.Image.fromarray(grid))).astype(int) - grid).max() <= 1:
            return None
    return mode, transform
