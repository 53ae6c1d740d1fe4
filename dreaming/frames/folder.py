"""Folders of images: listed in natural order, addressed by stem, read ahead, written atomically."""

import errno
import logging
import os
import re
import tempfile
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dreaming.errors import FrameError, SizeError, SpaceError
from dreaming.frames.arrays import Image, Mask, Probability, Size
from dreaming.frames.image_file import SUFFIXES, decode, decode_opacity, encode_png
from dreaming.frames.tiff import divided, is_multiplied

log = logging.getLogger(__name__)

UNFINISHED = ".part"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a full disk is told by; a FAT file system or a quota may end a file early, too."""
GONE = (errno.ENOENT, errno.ESTALE)
"""What a file is told by that was removed while it was open, here or by another machine."""
TRIES = 10
"""How often a file is begun that others remove while it is written; each does so once, on its way to its own work."""
S = TypeVar("S")
T = TypeVar("T")


def natural_key(stem: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key by which ``9`` comes before ``10``, whatever stands around the numbers."""
    parts = re.findall(r"\d+|\D+", stem)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, in alphabetical order, but for hidden ones; none where it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, a kill or a power cut at any moment sees all of it or none of it.

    Raises:
        SpaceError: If the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in reversed(range(TRIES)):
            try:
                _write(path, data)
                return
            except OSError as error:
                if error.errno not in GONE or not left:
                    raise
                log.info("%s: begun again, for another process took it for what a kill had left", path)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise SpaceError(
            path,
            found="no space left on the disk",
            expected=f"room for {len(data):,} bytes",
            mend="free some space and start again: what was written before stays and is not made twice",
        ) from None


def _write(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            # Else a power cut may leave the name with nothing in it: it can reach the disk before the data.
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def discard_unfinished(folder: Path, names: Iterable[str]) -> None:
    """Remove what a killed process left of the files of these names, before writing any of them.

    What another process, of an overlapping share, is writing right now looks the same: ``write_atomically`` there
    begins again.
    """
    hidden = {f".{name}" for name in names}
    for path in folder.glob(f".*{UNFINISHED}"):
        if path.with_suffix("").stem in hidden:  # between name and suffix stands what makes it unique
            path.unlink(missing_ok=True)


class FrameFolder:
    """An ordered, lazy view of the images in one folder.

    Stems sort by natural number. Nothing is decoded until it is asked for, and nothing holds the whole folder.

    Args:
        path: The folder; it need not exist yet.
        but: Names that are passed over.
    """

    def __init__(self, path: Path, *, but: Container[str] = ()) -> None:
        self.path, self._but = Path(path), but

    @cached_property
    def files(self) -> Mapping[str, Path]:
        """Image files by stem, in order.

        Raises:
            FrameError: If two files share a stem.
        """
        found: dict[str, Path] = {}
        if not self.path.is_dir():
            return found
        for path in sorted(self.path.iterdir()):
            if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or path.stem in self._but:
                continue
            if path.stem in found:
                raise FrameError(
                    path,
                    found=f"a second picture of the same name, {found[path.stem].name}",
                    expected="one picture for each name",
                    mend="remove one of the two",
                )
            found[path.stem] = path
        return dict(sorted(found.items(), key=lambda item: natural_key(item[0])))

    @property
    def stems(self) -> list[str]:
        """Frame names, in natural order."""
        return list(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __contains__(self, stem: object) -> bool:
        return stem in self.files

    def refresh(self) -> None:
        """Forget the listing, after files were added by someone else."""
        self.__dict__.pop("files", None)
        self.__dict__.pop("size", None)

    @cached_property
    def size(self) -> Size:
        """(height, width) of the first frame, which all others must share."""
        return self._decode(self.stems[0], cv2.IMREAD_COLOR).shape[:2]

    def _decode(self, stem: str, flag: int) -> NDArray[np.uint8]:
        if stem not in self.files:
            near = ", ".join(self.stems[:3]) + (", ..." if len(self) > 3 else "")
            raise FrameError(
                self.path / f"{stem}.png",
                found="no such picture",
                expected=f"one named like a frame ({near or 'the folder is empty'})",
                mend="add it or correct the name",
            )
        return decode(self.files[stem], flag)

    def read(self, stem: str, size: Size | None = None) -> Image:
        """One frame as RGB; 16-bit, grey, palette, alpha and EXIF-turned files are converted.

        Args:
            stem: The frame's name.
            size: (height, width) that it must have; by default that of the folder's first frame.

        Raises:
            FrameError: If it is absent or unreadable.
            SizeError: If it has another size.
        """
        image = cv2.cvtColor(self._decode(stem, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        if is_multiplied(self.files[stem]):
            image = divided(image, decode_opacity(self.files[stem]))
        expected = size or self.size
        if image.shape[:2] != expected:
            raise SizeError(
                self.files[stem],
                found=image.shape[:2],
                expected=expected,
                mend="resize or remove it",
            )
        return image

    def read_probability(self, stem: str, size: Size | None = None) -> Probability:
        """One mask file as values (H, W) in 0..1: the brightest colour channel times opacity, painted or grey alike.

        Raises:
            FrameError: If it is absent or unreadable.
            SizeError: If it has another size than ``size``.
        """
        values = self._decode(stem, cv2.IMREAD_COLOR).max(axis=2)
        if size is not None and values.shape != size:
            raise SizeError(self.files[stem], found=values.shape, expected=size, mend="paint it at the frames' size")
        probability = values.astype(np.float32) / 255.0
        opacity = decode_opacity(self.files[stem])
        if opacity is None or is_multiplied(self.files[stem]):
            return probability
        return probability * opacity

    def read_mask(self, stem: str, size: Size | None = None) -> Mask:
        """One mask file as booleans (H, W): foreground where brighter than half."""
        return self.read_probability(stem, size) > 0.5

    def write(self, stem: str, image: NDArray[np.uint8]) -> Path:
        """Write grey (H, W), RGB (H, W, 3) or RGBA (H, W, 4) as PNG, atomically; safe from several threads."""
        path = self.path / f"{stem}.png"
        write_atomically(path, encode_png(image))
        return path

    def write_probability(self, stem: str, probability: Probability) -> Path:
        """Write values (H, W) in 0..1 as an 8-bit grey PNG."""
        return self.write(stem, np.rint(np.clip(probability, 0, 1) * 255).astype(np.uint8))

    def read_ahead(
        self, stems: Iterable[str] | None = None, depth: int = 4, size: Size | None = None
    ) -> Iterator[tuple[str, Image]]:
        """Frames in order, decoded by a small thread pool at most ``depth`` frames ahead of the reader."""
        names = self.stems if stems is None else stems
        return ahead(lambda stem: (stem, self.read(stem, size)), names, depth)


def ahead(function: Callable[[S], T], items: Iterable[S], depth: int) -> Iterator[T]:
    """``function`` of each item, in order, computed by ``depth`` threads at most that many ahead of the reader.

    Where the items end in an error, those that came before it are still done; where the reader leaves, no new one is.
    """
    pending: deque[Future[T]] = deque()
    with ThreadPoolExecutor(max_workers=max(1, depth), thread_name_prefix="ahead") as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > depth:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except GeneratorExit:
            for future in pending:
                future.cancel()
            raise
