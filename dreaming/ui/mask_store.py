"""Hand masks as the page reads and writes them; what others changed meanwhile is never overwritten unasked."""

import struct
import threading
from collections import deque
from pathlib import Path

import cv2
import numpy as np

from dreaming.clip.clip import Clip
from dreaming.errors import ClipError, MaskError, SizeError
from dreaming.io.image import encode_png
from dreaming.io.types import Mask, Size
from dreaming.ui.clip_state import masks_of, parts_of
from dreaming.ui.user_files import ABSENT, FileChangedError, check_version, move_to_trash, replace_file, version_of

_HEADER = struct.Struct(">8s4x4sII")
"""A PNG's signature, and type, width and height of its first chunk."""


STEPS = 50
"""Corrections of a frame that can be undone."""


class MaskStore:
    """Reads, writes and removes hand masks of one clip.

    The file that a mask replaces is kept in ``trash/``, unless this object wrote it.

    Attributes:
        lock: Held while a mask is written or removed, or the folder of a part renamed.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._own: set[str] = set()
        self._before: dict[tuple[str, str], deque[tuple[tuple[Path, bytes] | None, str]]] = {}

    def read(self, clip: Clip, part: str, stem: str) -> tuple[Mask | None, str]:
        """Return the mask (H, W) of a frame and its version; None and ``ABSENT`` if there is none.

        Raises:
            FrameError: If the file is unreadable.
            SizeError: If it has another size than the frames.
        """
        for folder in clip.mask_folders(part):
            if stem in folder:
                version = version_of(folder.files[stem])
                return folder.read_painted_mask(stem, clip.size), version
        return None, ABSENT

    def write(self, clip: Clip, part: str, stem: str, mask: Mask, expected: str) -> str:
        """Write a mask (H, W) and return its version.

        Args:
            clip: The clip.
            part: The part that the mask shows.
            stem: The frame's name.
            mask: (H, W), of the frames' size.
            expected: Version of the file that the page read.

        Raises:
            FileChangedError: If the file on disk has another version.
            ClipError: If the masks lie outside the clip, or the user assigns masks to training and validation.
        """
        assert mask.shape == clip.size
        with self.lock:
            _check_part(clip, part)
            old = masks_of(clip, part).get(stem)
            new = (old or _new_path(clip, part, stem)).with_suffix(".png")
            data = encode_png(mask.astype(np.uint8) * 255, runs=True)
            before = _content(old)
            replace_file(clip, old, new, data, expected, keep=expected not in self._own)
            version = version_of(new)
            self._own.add(version)
            self._remember(part, stem, before, version)
            return version

    def remove(self, clip: Clip, part: str, stem: str, expected: str) -> Path:
        """Move a mask to ``trash/`` and return its new path.

        Raises:
            FileChangedError: If the file on disk has another version than ``expected``, or is gone.
            ClipError: If the masks lie outside the clip.
        """
        with self.lock:
            _check_part(clip, part)
            path = masks_of(clip, part).get(stem)
            check_version(path, expected)
            if path is None:
                raise FileChangedError(ABSENT)
            self._remember(part, stem, _content(path), ABSENT)
            return move_to_trash(clip, path)

    def undo(self, clip: Clip, part: str, stem: str, expected: str) -> str:
        """Bring back the file that this object replaced or removed last; return its version.

        Raises:
            FileChangedError: If the file on disk has another version than ``expected``.
            MaskError: If this object has not changed the mask, or somebody else has since.
        """
        with self.lock:
            _check_part(clip, part)
            path = masks_of(clip, part).get(stem)
            check_version(path, expected)
            before, after = (self._before.get((part, stem)) or [(None, "")])[-1]
            if after != expected:
                raise MaskError(
                    f"mask {stem}", found="no earlier version", expected="a mask that was saved here",
                    hint="what other programs replaced is in trash/",
                )  # fmt: skip
            if before is None:
                assert path is not None
                move_to_trash(clip, path)
                version = ABSENT
            else:
                old, data = before
                replace_file(clip, path, old, data, expected, keep=False)
                version = version_of(old)
                self._own.add(version)
            self._before[part, stem].pop()
            return version

    def _remember(self, part: str, stem: str, before: tuple[Path, bytes] | None, after: str) -> None:
        self._before.setdefault((part, stem), deque(maxlen=STEPS)).append((before, after))


def _content(path: Path | None) -> tuple[Path, bytes] | None:
    return None if path is None else (path, path.read_bytes())


def expand_runs(data: bytes, size: Size) -> Mask:
    """Expand an uploaded mask (H, W) of run lengths: background, foreground, background, ..., row by row.

    The page sends it instead of a PNG, which takes it 50 ms to encode and the server 140 ms to check at 1920x1080.

    Args:
        data: The lengths in pixels, as 32-bit little-endian integers.
        size: (height, width) of the mask in pixels.

    Raises:
        MaskError: If their sum differs from the number of pixels.
    """
    runs, count = np.frombuffer(data[: len(data) // 4 * 4], "<u4"), size[0] * size[1]
    if len(data) % 4 or runs.sum(dtype=np.uint64) != count:
        raise MaskError("uploaded mask", found=f"{len(data)} bytes", expected=f"lengths of runs of {count} pixels")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size)


def decode_upload(png: bytes, size: Size) -> Mask:
    """Decode an uploaded mask: an opaque PNG that is black and white only.

    Args:
        png: The file; its header is checked before anything is decoded.
        size: (height, width) that it must have in pixels.

    Raises:
        MaskError: If it is no complete PNG, or holds other values than 0 and 255.
        SizeError: If it has another size.
    """
    where = "uploaded mask"
    signature, chunk, width, height = _HEADER.unpack(png[: _HEADER.size].ljust(_HEADER.size, b"\0"))
    if signature != b"\x89PNG\r\n\x1a\n" or chunk != b"IHDR":
        raise MaskError(where, found="no PNG", expected="a PNG")
    if (height, width) != size:
        raise SizeError(where, found=(height, width), expected=size)
    try:
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None or image.shape[:2] != size:
        raise MaskError(where, found="a damaged or truncated PNG", expected="a complete one")
    channels = cv2.split(image)  # contiguous, which halves the time of the comparisons
    values = channels[0]
    grey = all(np.array_equal(channel, values) for channel in channels[1:3])
    opaque = len(channels) < 4 or (channels[3] == 255).all()
    binary = image.dtype == np.uint8 and ((values == 0) | (values == 255)).all()
    if not (grey and opaque and binary):
        raise MaskError(where, found="values other than 0 and 255", expected="opaque black and white")
    return values == 255


def _check_part(clip: Clip, part: str) -> None:
    """Refuse a part that was renamed meanwhile; its masks would become those of the whole clip."""
    if part not in parts_of(clip):
        where = clip.path / "parts" / part
        raise ClipError(where, found="no such part", expected="a part of the clip", hint="reload the page")


def _new_path(clip: Clip, part: str, stem: str) -> Path:
    folders = clip.mask_folders(part)
    if len(folders) > 1:
        raise ClipError(
            clip.path,
            found="masks in nn/ or ensemble/, which assign each mask to a use",
            expected="hand_masks/ for masks that are painted here",
            hint="move the masks to hand_masks/, or add this mask to one of those folders by hand",
        )
    return folders[0].path / f"{stem}.png"
