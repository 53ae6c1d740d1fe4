"""OpenEXR files: half floats, linear light, ZIP compression, written by ffmpeg's encoder (PyAV)."""

from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
from numpy.typing import NDArray

from dreaming.io.atomic import write_atomically
from dreaming.io.frame_folder import FrameFolder, signed


def encode_exr(image: NDArray[np.float32]) -> bytes:
    """Encode linear RGBA (H, W, 4), colours multiplied by their opacity, with the channels R, G, B, A.

    Without a ``chromaticities`` attribute, readers assume the primaries of BT.709, which are those of sRGB.
    """
    height, width = image.shape[:2]
    encoder = av.CodecContext.create("exr", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, "gbrapf32le", Fraction(1, 25)
    encoder.options = {"compression": "zip16", "format": "half"}
    rounded = image.astype(np.float16)  # because ffmpeg cuts off instead
    frame = av.VideoFrame(width, height, "gbrapf32le")
    for plane, channel in zip(frame.planes, (1, 2, 0, 3), strict=True):
        rows = np.zeros((height, plane.line_size // 4), np.float32)
        rows[:, :width] = rounded[..., channel]
        plane.update(rows.tobytes())
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


class ExrFolder(FrameFolder):
    """A folder of OpenEXR files that dreaming writes."""

    suffixes: ClassVar[tuple[str, ...]] = (".exr",)

    def outputs(self, stem: str) -> list[Path]:
        """Paths of the files that ``write`` makes of one frame."""
        return [self.path / f"{stem}.exr"]

    def write(self, stem: str, image: NDArray[Any]) -> Path:
        """Write linear RGBA (H, W, 4), float32 and premultiplied, atomically."""
        (path,) = self.outputs(stem)
        write_atomically(path, signed(encode_exr(image.astype(np.float32, copy=False))))
        return path
