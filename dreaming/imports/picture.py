"""Pictures whose colours are labels."""

from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from dreaming.errors import MaskError, SizeError
from dreaming.io.types import Size


def read_indices(path: Path) -> NDArray[np.uint8] | None:
    """The index (H, W) of each pixel of a picture with a palette, 0 or 1 of a black and white one; None for others.

    Raises:
        MaskError: If the file is no complete picture.
    """
    indices = _read(path, "P", None)
    if indices is None and (grey := _read(path, "L", None)) is not None and np.isin(grey, (0, 255)).all():
        return (grey > 0).astype(np.uint8)
    return indices


def read_colours(path: Path, size: Size) -> NDArray[np.uint8]:
    """Decode a picture (H, W, 3) of this size.

    Raises:
        MaskError: If the file is no complete picture.
        SizeError: If it has another size, which is known before it is decoded.
    """
    colours = _read(path, "RGB", size)
    assert colours is not None
    return colours


def read_size(path: Path) -> Size:
    """(height, width) of a picture in pixels, by its header."""
    try:
        with PIL.Image.open(path) as file:
            return file.height, file.width
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from None


def _read(path: Path, mode: str, size: Size | None) -> NDArray[np.uint8] | None:
    found = read_size(path)
    if size is not None and found != size:
        raise SizeError(path, found=found, expected=size, hint="export it at the frames' size")
    try:
        with PIL.Image.open(path) as file:
            if mode != "RGB" and file.mode not in (mode, "1" if mode == "L" else mode):
                return None
            return np.asarray(file if file.mode == mode else file.convert(mode))
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> MaskError:
    return MaskError(path, found=f"no picture that can be read ({error})", expected="a complete PNG")
