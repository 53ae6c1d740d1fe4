"""What a page, the server and the process that paints send each other: pictures, and JSON for everything else."""

import json
import struct
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from dreaming.io.types import Image

HEADER = struct.Struct("<II")
"""Width and height of a picture; width 0 and the number of bytes of JSON."""

CHANNELS = 4
"""Bytes of a pixel: red, green, blue, opacity, as in a canvas of the browser."""

MIN_SIDE, MAX_PIXELS = 16, 2**20
"""Smallest side of a picture in pixels, and largest number of pixels."""

MAX_BYTES = HEADER.size + CHANNELS * MAX_PIXELS
"""Bytes of the longest message."""


def is_picture(message: bytes) -> bool:
    """Whether a message is a picture of an accepted size."""
    if len(message) < HEADER.size:
        return False
    width, height = HEADER.unpack_from(message)
    return min(width, height) >= MIN_SIDE and len(message) == body_size(message) + HEADER.size <= MAX_BYTES


def body_size(header: bytes) -> int:
    """Number of bytes after a header."""
    width, height = HEADER.unpack_from(header)
    return int(CHANNELS * width * height if width else height)


def from_picture(message: bytes) -> Image:
    """Read a picture's colours, (H, W, 3) uint8."""
    width, height = HEADER.unpack_from(message)
    pixels = np.frombuffer(message, np.uint8, offset=HEADER.size)
    return np.ascontiguousarray(pixels.reshape(height, width, CHANNELS)[..., :3])


def to_picture(image: Image) -> bytes:
    """Write an opaque picture of colours (H, W, 3) uint8."""
    height, width = image.shape[:2]
    pixels = np.full((height, width, CHANNELS), 255, np.uint8)
    pixels[..., :3] = image
    return HEADER.pack(width, height) + pixels.tobytes()


def to_json(data: Mapping[str, str]) -> bytes:
    """Write a message of plain data."""
    text = json.dumps(data).encode()
    return HEADER.pack(0, len(text)) + text


def read_message(stream: BinaryIO) -> bytes | None:
    """Read the next message; None at the end of the stream."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    return header + stream.read(body_size(header))
