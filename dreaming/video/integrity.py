"""Detection of truncated video files, which ffmpeg plays without an error, and of a format it does not decode."""

from pathlib import Path
from typing import BinaryIO

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_TS_SYNC = 0x47
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}


def is_truncated(path: Path) -> bool:
    """Whether an mp4, mov, mkv, webm or gif is shorter than its container declares; False for other formats."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(0)
        if head[4:] in _FIRST_BOXES:
            return _iso_is_truncated(file, size)
        if head.startswith(_EBML):
            return _matroska_is_truncated(file, size)
        if head.startswith(b"GIF8"):
            file.seek(-min(size, 1024), 2)
            # The trailer is a semicolon; some writers add padding after it.
            return not file.read().rstrip(b"\0").endswith(b";")
    return False


def _iso_is_truncated(file: BinaryIO, size: int) -> bool:
    """Whether a top-level box of an ISO media file (ISO/IEC 14496-12, 4.2) is incomplete or the index is missing."""
    position, has_index = 0, False
    while position < size:
        file.seek(position)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        has_index |= kind == b"moov"
        if has_index and not (kind.isalnum() if len(kind) == 4 else any(header)):
            return False  # padding
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        position = position + max(length, 8) if length else size  # 0: to the end of the file
    return position > size or not has_index


def _matroska_is_truncated(file: BinaryIO, size: int) -> bool:
    """Whether the segment, a top-level element of a Matroska file (RFC 8794), is incomplete."""
    position = 0
    while position < size:
        file.seek(position)
        header = file.read(12)
        id_length = 9 - header[0].bit_length()
        field = header[id_length:]
        if id_length > 4 or not field or not field[0]:
            return True
        width = 9 - field[0].bit_length()
        value = int.from_bytes(field[:width], "big") - (1 << 7 * width)
        if value == (1 << 7 * width) - 1:
            return False  # all ones: the length is unknown, as in a live recording
        position += id_length + width + value
        if header.startswith(_SEGMENT):
            break
    return position > size


def ends_inside_packet(path: Path) -> bool:
    """Whether an MPEG transport stream, of packets of 188, 192 or 204 bytes, ends with an incomplete packet."""
    with path.open("rb") as file:
        head = file.read(1024)
    for length, offset in ((188, 0), (192, 4), (204, 0)):
        if set(head[offset::length]) == {_TS_SYNC}:
            return path.stat().st_size % length > 0
    return False


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP (RFC 9649) with several frames."""
    with path.open("rb") as file:
        head = file.read(21)
    return head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8X" and bool(head[20:] and head[20] & 2)
