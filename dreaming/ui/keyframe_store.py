"""Keyframes that are painted in another program: frames to paint on, and the painted files."""

import tempfile
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
from PIL.ExifTags import Base

from dreaming.clip.clip import Clip
from dreaming.clip.input_check import LONGEST_NAME
from dreaming.clip.keyframe_folder import KeyframeFolder
from dreaming.errors import ClipError, DreamingError, FrameError, KeyframeError, SizeError
from dreaming.io.file_pattern import NAME_HINT, is_portable_name
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.image import SUFFIXES, decode, decode_opacity, encode_png
from dreaming.io.picture_check import check_pictures
from dreaming.io.types import Size
from dreaming.ui.user_files import ABSENT, FileChangedError, check_version, move_to_trash, replace_file, version_of

_CHUNKS = 33
"""Bytes of a PNG before the chunk after IHDR."""


def check_folder_name(where: Path, name: str) -> None:
    """Refuse a name of a part or layer that no folder may have.

    Raises:
        ClipError: If it is none, or too long.
    """
    if not is_portable_name(name) or len(name.encode()) > LONGEST_NAME:
        raise ClipError(
            where, found=f"the name {name[:50]!r}", expected=f"a folder's name of at most {LONGEST_NAME} bytes",
            hint=NAME_HINT,
        )  # fmt: skip


def frame_png(clip: Clip, stem: str) -> bytes:
    """A frame as PNG in its full bit depth, to paint on: upright, with its colour profile.

    A PNG is returned as it is. A frame with transparency or floating-point values of another format is returned as the
    stages see it, with 8 bits.
    """
    path = clip.frames.files[stem]
    with suppress(PIL.UnidentifiedImageError), PIL.Image.open(path) as file:
        upright = file.getexif().get(Base.Orientation, 1) == 1
        if file.format == "PNG" and upright:
            return path.read_bytes()
        if file.mode != "CMYK" and decode_opacity(path) is None:
            pixels = decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
            if pixels.dtype in (np.uint8, np.uint16):
                png = cv2.imencode(".png", pixels)[1].tobytes()
                return _with_profile(png, file.info.get("icc_profile"))
    return encode_png(clip.frames.read(stem))


def _with_profile(png: bytes, profile: bytes | None) -> bytes:
    if not profile:
        return png
    content = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    chunk = (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")
    return png[:_CHUNKS] + chunk + png[_CHUNKS:]


class KeyframeStore:
    """Stores and removes the keyframes of one clip; replaced and removed files lie in ``trash/``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def find(self, clip: Clip, layer: str, stem: str) -> tuple[Path | None, str]:
        """Return the keyframe of a frame and its version; None and ``ABSENT`` if there is none."""
        path = FrameFolder(clip.path / "keyframes" / layer).files.get(stem)
        return path, version_of(path)

    def write(self, clip: Clip, layer: str, stem: str, name: str, data: bytes, expected: str) -> tuple[Path, str]:
        """Store a painted file as it is, and return its path and version.

        Args:
            clip: The clip.
            layer: Name of the folder in ``keyframes/``; it need not exist.
            stem: The frame that is painted.
            name: The file's own name, of which the suffix is used.
            data: The file's content.
            expected: Version of the keyframe that it replaces.

        Raises:
            KeyframeError: If the file is no image of a kind that is read, of another size, or transparent all over.
            FileChangedError: If the keyframe on disk has another version.
            ClipError: If the layer's name is not allowed, or its folder lies outside the clip.
        """
        folder = clip.path / "keyframes" / layer
        check_folder_name(folder, layer)
        suffix = Path(name).suffix.lower()
        try:
            _check(clip, stem, suffix, data)
        except DreamingError as error:  # which names a temporary file
            facts = {"found": error.found, "expected": error.expected, "hint": error.hint}
            raise KeyframeError(name, **facts) from None
        with self._lock:
            old, _ = self.find(clip, layer, stem)
            new = folder / f"{stem}{suffix}"
            replace_file(clip, old, new, data, expected)
            return new, version_of(new)

    def remove(self, clip: Clip, layer: str, stem: str, expected: str) -> Path:
        """Move a keyframe and its mask to ``trash/``, and return the keyframe's new path.

        A folder that this empties is removed, because a layer without keyframes is an error.

        Raises:
            FileChangedError: If the keyframe on disk has another version, or is gone.
            ClipError: If its folder lies outside the clip.
        """
        with self._lock:
            path, _ = self.find(clip, layer, stem)
            check_version(path, expected)
            if path is None:
                raise FileChangedError(ABSENT)
            masks = FrameFolder(path.parent / "masks")
            if stem in masks:
                move_to_trash(clip, masks.files[stem])
            target = move_to_trash(clip, path)
            with suppress(OSError):  # they are not empty
                masks.path.rmdir()
            with suppress(OSError):
                path.parent.rmdir()
            return target


def _check(clip: Clip, stem: str, suffix: str, data: bytes) -> None:
    if suffix not in SUFFIXES:
        kinds = ", ".join(kind[1:] for kind in SUFFIXES)
        raise FrameError(stem, found="another kind of file", expected=kinds, hint="export it as PNG")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{stem}{suffix}"
        path.write_bytes(data)
        _check_header(path, clip.size)
        check_pictures(FrameFolder(path.parent), clip.size)
        KeyframeFolder(FrameFolder(path.parent), FrameFolder(path.parent / "masks")).check(clip.frames, clip.size)


def _check_header(path: Path, size: Size) -> None:
    """Refuse a picture of another size before it is decoded, because it may claim any size."""
    try:
        with PIL.Image.open(path) as file:
            width, height = file.size
    except PIL.UnidentifiedImageError:  # a kind that OpenCV alone decodes, or no image
        return
    except (PIL.Image.DecompressionBombError, OSError, ValueError, SyntaxError):
        found = "a damaged file, or a picture of a hundred million pixels or more"
        raise FrameError(path, found=found, expected="a complete picture of the frames' size") from None
    if {width, height} != set(size):
        raise SizeError(path, found=(height, width), expected=size)
