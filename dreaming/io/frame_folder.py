"""Folders of images: listed in natural order, addressed by stem, read ahead, written atomically."""

import os
import re
import unicodedata
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.errors import FrameError, SizeError
from dreaming.io.atomic import write_atomically
from dreaming.io.file_pattern import is_unicode
from dreaming.io.image import (
    SUFFIXES,
    decode,
    decode_opacity,
    decode_rgb,
    encode_png,
    is_premultiplied,
)
from dreaming.io.painted_mask import interpret
from dreaming.io.prefetch import prefetch_map
from dreaming.io.types import Image, Mask, Probability, Size

S = TypeVar("S")
T = TypeVar("T")

_PNG = b"\x89PNG\r\n\x1a\n"
_HEADER = 33
"""Length of a PNG's signature and IHDR chunk in bytes; the mark follows."""
_CHUNK = b"drMK"  # its case says: ancillary, private, not to be copied by editors
_MARK = (0).to_bytes(4, "big") + _CHUNK + zlib.crc32(_CHUNK).to_bytes(4, "big")


_EXR = b"\x76\x2f\x31\x01"


def signed(picture: bytes) -> bytes:
    """Return a PNG or OpenEXR file with a mark that distinguishes dreaming's results from a user's files.

    The mark is an empty chunk, or follows the picture; decoders ignore it. A file that somebody edits and saves loses
    it.
    """
    return picture + _MARK if picture.startswith(_EXR) else picture[:_HEADER] + _MARK + picture[_HEADER:]


def is_signed(path: Path) -> bool:
    """Whether a file is a result of dreaming's that nobody has saved since, and no link to one."""
    try:
        if path.is_symlink():
            return False
        with path.open("rb") as file:
            start = file.read(_HEADER + len(_MARK))
            if start.startswith(_EXR):
                file.seek(-len(_MARK), os.SEEK_END)
                return file.read() == _MARK
    except (OSError, ValueError):  # also a name that no file can have
        return False
    return start.startswith(_PNG) and start.endswith(_MARK)


def _kind_of(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    if path.is_file():
        return "a file"
    return "a named pipe, a socket or a device" if path.exists() else "a link to nothing"


def _stem_of(name: str) -> str:
    # macOS and other systems write an accented letter as one or as two characters.
    return unicodedata.normalize("NFC", os.path.splitext(name)[0])  # noqa: PTH122 -- five times as fast as Path.stem


def natural_key(stem: str) -> tuple[tuple[int, int, str], ...]:
    """Natural sort key: ``9`` comes before ``10``, also within longer names."""
    parts = re.findall(r"\d+|\D+", stem)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def subfolders(folder: Path) -> list[str]:
    """Names of the visible subfolders, in alphabetical order; none if the folder does not exist."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


class FrameFolder:
    """An ordered, lazy view of the images in one folder.

    Stems sort by natural number. Nothing is decoded until it is asked for, and nothing holds the whole folder.

    Args:
        path: The folder; it need not exist yet.
        exclude: Stems to skip.
        over_black: Whether transparent pixels are shown over black, instead of with their hidden colours.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    """Suffixes of the files that are listed."""

    def __init__(self, path: Path, *, exclude: Container[str] = (), over_black: bool = False) -> None:
        self.path, self._exclude, self._over_black = Path(path), exclude, over_black

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Names of the image files by stem, in order; nothing but the folder is read, unless it holds links.

        Raises:
            FrameError: If two files share a stem, one is no regular file, or the folder is none.
        """
        found: dict[str, str] = {}
        for entry in sorted(self._images(), key=lambda entry: entry.name):
            stem = _stem_of(entry.name)
            if not is_unicode(stem):
                raise FrameError(
                    self.path / entry.name, found="a name that is not UTF-8", expected="UTF-8", hint="rename the file"
                )
            if stem in found:
                raise FrameError(
                    self.path / entry.name,
                    topic="two-pictures-of-one-name",
                    found=f"a second picture of the same name, {found[stem]}",
                    expected="one picture for each name",
                    hint="remove one of the two",
                )
            if not (entry.is_file(follow_symlinks=False) or (self.path / entry.name).is_file()):
                raise FrameError(  # reading a named pipe would never end
                    self.path / entry.name,
                    found=_kind_of(self.path / entry.name),
                    expected="an image file",
                    hint="remove it or move it elsewhere",
                )
            found[stem] = entry.name
        stems = "".join(found)
        if stems.isascii() and stems.isdecimal() and len(set(map(len, found))) == 1:  # in natural order already
            return found
        return dict(sorted(found.items(), key=lambda item: natural_key(item[0])))

    def _images(self) -> Iterator["os.DirEntry[str]"]:
        if not self.path.is_dir():
            if self.path.exists() or self.path.is_symlink():
                raise FrameError(self.path, found=_kind_of(self.path), expected="a folder of images")
            return
        with os.scandir(self.path) as entries:
            for entry in entries:
                is_image = entry.name.lower().endswith(self.suffixes) and not entry.name.startswith(".")
                if is_image and not (self._exclude and _stem_of(entry.name) in self._exclude):
                    yield entry

    @cached_property
    def files(self) -> Mapping[str, Path]:
        """Image files by stem, in order, see ``names``."""
        return {stem: self.path / name for stem, name in self.names.items()}

    @cached_property
    def stems(self) -> list[str]:
        """Frame names, in natural order."""
        return list(self.names)

    @property
    def is_empty(self) -> bool:
        """Whether there are no images; found out anew, and without listing all of them."""
        return next(self._images(), None) is None

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, stem: object) -> bool:
        return stem in self.names

    def refresh(self) -> None:
        """Discard the cached listing, after other code added files."""
        for name in ("names", "stems", "files", "size"):
            self.__dict__.pop(name, None)

    @cached_property
    def size(self) -> Size:
        """(height, width) of the first frame, which all others must share."""
        return decode(self._file(self.stems[0])).shape[:2]

    def _file(self, stem: str) -> Path:
        if stem not in self.names:
            near = ", ".join(self.stems[:3]) + (", ..." if len(self) > 3 else "")
            raise FrameError(
                self.path / f"{stem}.png",
                found="no such picture",
                expected=f"one named like a frame ({near or 'the folder is empty'})",
                hint="add it or correct the name",
            )
        return self.path / self.names[stem]

    def read(self, stem: str, size: Size | None = None) -> Image:
        """One frame as sRGB; 16-bit, grey, palette, alpha, EXIF-turned files and other ICC profiles are converted.

        Args:
            stem: The frame's name.
            size: (height, width) that it must have; by default that of the folder's first frame.

        Raises:
            FrameError: If it is absent or unreadable.
            SizeError: If it has another size.
        """
        path = self._file(stem)
        image = decode_rgb(path)
        # Those of dreaming are stored over black.
        if self._over_black and not is_signed(path):
            opacity = decode_opacity(path)
            image = image if opacity is None else np.rint(image * opacity[..., None]).astype(np.uint8)
        expected = size or self.size
        if image.shape[:2] != expected:
            raise SizeError(path, found=image.shape[:2], expected=expected, hint="resize or remove it")
        return image

    def read_probability(self, stem: str, size: Size | None = None) -> Probability:
        """One mask file as values (H, W) in 0..1: the brightest colour channel times opacity, painted or grey alike.

        Raises:
            FrameError: If it is absent or unreadable.
            SizeError: If it has another size than ``size``.
        """
        path = self._file(stem)
        values = decode(path).max(axis=2)
        if size is not None and values.shape != size:
            raise SizeError(path, found=values.shape, expected=size, hint="paint it at the frames' size")
        probability = values.astype(np.float32) / 255.0
        opacity = decode_opacity(path)
        if opacity is None or is_premultiplied(path):
            return probability
        return probability * opacity

    def read_matte(self, stem: str, size: Size | None = None) -> Probability:
        """One alpha matte as values (H, W) in 0..1: the brightest colour channel, of 8 or 16 bits.

        Raises:
            FrameError: If it is absent or unreadable.
            SizeError: If it has another size than ``size``.
        """
        path = self._file(stem)
        picture = decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if size is not None and picture.shape[:2] != size:
            raise SizeError(path, found=picture.shape[:2], expected=size, hint="resize or remove it")
        return picture.max(axis=2).astype(np.float32) / np.float32(np.iinfo(picture.dtype).max)

    def read_mask(self, stem: str, size: Size | None = None) -> Mask:
        """One mask file as booleans (H, W): foreground where brighter than half."""
        return self.read_probability(stem, size) > 0.5

    def interpret_mask(self, stem: str, size: Size | None = None) -> tuple[Mask, str]:
        """One mask file of the user's as booleans (H, W), and how it was read if in an unusual way."""
        path, probability = self._file(stem), self.read_probability(stem, size)
        # Of dreaming's own masks, which a user may copy, dim values are probabilities.
        return (probability > 0.5, "") if is_signed(path) else interpret(path, probability)

    def read_painted_mask(self, stem: str, size: Size | None = None) -> Mask:
        """One mask file of the user's as booleans (H, W), also labels, cut-outs and 16-bit values."""
        return self.interpret_mask(stem, size)[0]

    def outputs(self, stem: str) -> list[Path]:
        """Paths of the files that ``write`` makes of one frame."""
        return [self.path / f"{stem}.png"]

    def write(self, stem: str, image: NDArray[Any]) -> Path:
        """Write grey (H, W), RGB (H, W, 3) or RGBA (H, W, 4), uint8 or uint16, as PNG, atomically; thread-safe."""
        (path,) = self.outputs(stem)
        write_atomically(path, signed(encode_png(image)))
        return path

    def write_probability(self, stem: str, probability: Probability) -> Path:
        """Write values (H, W) in 0..1 as an 8-bit grey PNG."""
        return self.write(stem, np.rint(np.clip(probability, 0, 1) * 255).astype(np.uint8))

    def read_ahead(
        self, stems: Iterable[str] | None = None, depth: int = 4, size: Size | None = None
    ) -> Iterator[tuple[str, Image]]:
        """Frames in order, decoded by a small thread pool at most ``depth`` frames ahead of the reader."""
        names = self.stems if stems is None else stems
        return prefetch_map(lambda stem: (stem, self.read(stem, size)), names, depth)
