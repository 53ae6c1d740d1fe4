"""What a TIFF says of its opacity, which OpenCV does not tell."""

from pathlib import Path

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from dreaming.io.types import Image, Probability

BITS, EXTRA_SAMPLES = 258, 338  # tags
MULTIPLIED, APART = 1, 2  # kinds of opacity
STARTS = (b"II*\0", b"II+\0", b"MM\0*", b"MM\0+")  # those with + have eight bytes more of a header


def is_premultiplied(path: Path) -> bool:
    """Whether the colours that OpenCV decodes are multiplied by their opacity already; false of all but TIFF.

    They may lie in the file so; where they do not, OpenCV (by libtiff) multiplies those of 8 bits, and no others.
    """
    with path.open("rb") as file:
        header = file.read(8)
        if header[:4] not in STARTS:
            return False
        tags = ImageFileDirectory_v2(header + file.read(8) if b"+" in header[:4] else header)
        file.seek(tags.next)
        tags.load(file)
    kinds, bits = tags.get(EXTRA_SAMPLES, ()), tags.get(BITS, (1,))
    return MULTIPLIED in kinds or (APART in kinds and max(bits) == 8)


def unpremultiplied(image: Image, opacity: Probability | None) -> Image:
    """Colours (H, W, 3) as they were before they were multiplied by their opacity (H, W) in 0..1; None: as they are."""
    if opacity is None:
        return image
    clear = np.where(opacity > 0, opacity, np.float32(1))[..., None]
    return np.rint(np.minimum(image / clear, 255)).astype(np.uint8)
