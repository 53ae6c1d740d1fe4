"""One picture file: written as PNG, read whole or refused by name, its opacity turned as its colours are."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.errors import FrameError
from dreaming.io.types import Probability

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")


def encode_png(array: NDArray[np.uint8], compression: int = 3) -> bytes:
    """PNG bytes of grey (H, W), RGB (H, W, 3) or RGBA (H, W, 4)."""
    if array.ndim == 3:
        array = cv2.cvtColor(array, cv2.COLOR_RGB2BGR if array.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    return cv2.imencode(".png", array, [cv2.IMWRITE_PNG_COMPRESSION, compression])[1].tobytes()


def decode(path: Path, flag: int = cv2.IMREAD_COLOR) -> NDArray[np.uint8]:
    """Decode an image file with OpenCV, and refuse what OpenCV would patch up without a word.

    Raises:
        FrameError: If the file is unreadable or ends before its picture does.
    """
    try:
        data = path.read_bytes()
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data and not is_cut_off_jpeg(data) else None
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise FrameError(path, found=found, expected="an image", hint="check the file and its rights") from None
    except cv2.error:  # raised for a size beyond OpenCV's limit, which only a damaged header claims
        image = None
    if image is None:
        raise FrameError(
            path,
            found="an empty file" if not data else "a file that is damaged, cut off or no picture",
            expected="a whole " + ", ".join(s[1:] for s in SUFFIXES) + " image",
            hint="export it again or remove it",
        )
    return image


def decode_opacity(path: Path) -> Probability | None:
    """Opacity of a picture, (H, W) in 0..1, from its alpha channel or its palette's; None where it has none."""
    if path.suffix.lower() in (".jpg", ".jpeg") or _is_grey_png(path):
        return None
    image = decode(path, cv2.IMREAD_UNCHANGED)
    if image.ndim == 2 or image.shape[2] != 4:
        return None
    full = np.iinfo(image.dtype).max if np.issubdtype(image.dtype, np.integer) else 1
    return _turned(image[..., 3], path).astype(np.float32) / np.float32(full)


def _turned(opacity: NDArray[Any], path: Path) -> NDArray[Any]:
    """Opacity (H, W) turned as EXIF says: OpenCV does so with colours, but not with what it decodes unchanged."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    _, kinds, facts = cv2.imdecodeWithMetadata(data, flags=cv2.IMREAD_UNCHANGED)
    exif = [fact for kind, fact in zip(kinds, facts, strict=True) if kind == cv2.IMAGE_METADATA_EXIF]
    if not exif:
        return opacity
    # As a picture of its own with the same EXIF, it is turned by whatever OpenCV turns colours by.
    png = cv2.imencodeWithMetadata(".png", opacity.copy(), [cv2.IMAGE_METADATA_EXIF], exif)[1]
    turned = cv2.imdecode(png, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    assert turned is not None
    return turned


def _is_grey_png(path: Path) -> bool:
    """Whether a file is like the masks that dreaming makes, which are told by their header to be read only once."""
    with path.open("rb") as file:
        head = file.read(26)
    return head.startswith(b"\x89PNG") and head[25:] == b"\0"  # the header's colour type


def is_cut_off_jpeg(data: bytes) -> bool:
    """Whether a JPEG ends before its picture does; older OpenCV fills the missing half with grey.

    The segments before the first scan are skipped by their lengths, for a thumbnail in one of them ends like the
    picture. From there on an end marker is one, since data escapes it; what follows it (a phone's clip) is ignored.
    """
    if not data.startswith(b"\xff\xd8"):
        return False
    place = 2
    while data[place : place + 2] != b"\xff\xda":
        if len(data) < place + 4 or data[place] != 0xFF:
            return True
        # Any number of 0xFF may stand before a marker to fill up.
        place += 1 if data[place + 1] == 0xFF else 2 + int.from_bytes(data[place + 2 : place + 4])
    return data.find(b"\xff\xd9", place) < 0
