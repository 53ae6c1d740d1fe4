"""Frames and thumbnails as a browser shows them."""

from collections import OrderedDict
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.clip.clip import Clip
from dreaming.io.image import encode_png
from dreaming.io.types import Image

HEIGHT = 72
"""Height of a thumbnail in pixels."""
CACHED = 10_000
"""Thumbnails in memory, at about 3 kB each."""
FRAME_QUALITY, THUMBNAIL_QUALITY = 95, 80  # of JPEG


def version_of(path: Path) -> str:
    """A short text that changes when the file does."""
    stat = path.stat()
    return f"{stat.st_mtime_ns:x}-{stat.st_size:x}"


def frame_jpeg(clip: Clip, stem: str) -> bytes:
    """One frame as the stages see it, upright, in sRGB and over black, as JPEG."""
    return _encode_jpeg(clip.frames.read(stem), FRAME_QUALITY)


def grey_png(values: NDArray[np.float32] | NDArray[np.bool_]) -> bytes:
    """A mask or probability (H, W) in 0..1 as 8-bit grey PNG."""
    grey = np.rint(values.astype(np.float32) * 255).astype(np.uint8)
    return encode_png(grey, compression=1, runs=values.dtype == np.bool_)


class Thumbnails:
    """Thumbnails of frames as JPEG, cached in memory; safe from several threads."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[Path, str], bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, clip: Clip, stem: str) -> bytes:
        """The thumbnail of a frame, ``HEIGHT`` pixels high.

        Raises:
            FrameError: If the frame is unreadable.
        """
        path = clip.frames.files[stem]
        key = path, version_of(path)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        image = clip.frames.read(stem)
        width = max(1, round(image.shape[1] * HEIGHT / image.shape[0]))
        small = cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA)
        data = _encode_jpeg(small, THUMBNAIL_QUALITY)
        with self._lock:
            self._cache[key] = data
            if len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        return data


def _encode_jpeg(image: Image, quality: int) -> bytes:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
