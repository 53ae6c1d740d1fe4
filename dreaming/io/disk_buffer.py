"""A temporary file for images that are written in one order and read in another, so that memory use stays constant."""

import tempfile
import zlib
from collections.abc import Hashable, Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dreaming.io.cache_size import announce


class DiskBuffer:
    """Compressed images by name in a temporary file; thread-safe.

    The file is deleted when the buffer is closed or its process ends.

    Args:
        folder: Folder of the file. It should be on a disk: the system's temporary folder may be in memory.
        title: Its contents, for the announcement of its size.
        items: Number of entries that it will have.
        bytes_each: Their estimated mean size, compressed.

    Raises:
        SpaceError: If the disk cannot hold them.
    """

    def __init__(self, folder: Path, title: str, items: int, bytes_each: float) -> None:
        announce(folder, f"{title} (temporary)", items, bytes_each)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 -- closed by close
        self._entries: dict[Hashable, list[tuple[int, int, tuple[int, ...]]]] = {}
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def __contains__(self, name: Hashable) -> bool:
        return name in self._entries

    def write(self, name: Hashable, pictures: Sequence[NDArray[np.uint8]]) -> None:
        """Store uint8 arrays of any shapes under one name."""
        packed = [
            (zlib.compress(np.ascontiguousarray(picture).tobytes(), level=1), picture.shape) for picture in pictures
        ]
        entries = []
        with self._lock:
            self._file.seek(0, 2)
            for data, shape in packed:
                entries.append((self._file.tell(), len(data), shape))
                self._file.write(data)
            self._entries[name] = entries

    def read(self, name: Hashable) -> list[NDArray[np.uint8]]:
        """Return the arrays stored under a name."""
        packed = []
        with self._lock:
            for start, length, shape in self._entries[name]:
                self._file.seek(start)
                packed.append((self._file.read(length), shape))
        return [np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape) for data, shape in packed]
