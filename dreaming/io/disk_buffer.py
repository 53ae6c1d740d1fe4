"""A temporary file for pictures that are made in one order and needed in another, so that memory stays flat."""

import tempfile
import zlib
from collections.abc import Hashable, Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray


class DiskBuffer:
    """Pictures by name, compressed, in a file that vanishes with the spool or its process; safe from several threads.

    Args:
        folder: Where the file lies; on a disk, for the system's own temporary folder may be memory.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by close)
        self._places: dict[Hashable, list[tuple[int, int, tuple[int, ...]]]] = {}
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def __contains__(self, name: Hashable) -> bool:
        return name in self._places

    def write(self, name: Hashable, pictures: Sequence[NDArray[np.uint8]]) -> None:
        """Keep some uint8 arrays of any shapes under one name."""
        packed = [
            (zlib.compress(np.ascontiguousarray(picture).tobytes(), level=1), picture.shape) for picture in pictures
        ]
        places = []
        with self._lock:
            self._file.seek(0, 2)
            for data, shape in packed:
                places.append((self._file.tell(), len(data), shape))
                self._file.write(data)
            self._places[name] = places

    def read(self, name: Hashable) -> list[NDArray[np.uint8]]:
        """The arrays kept under a name."""
        packed = []
        with self._lock:
            for start, length, shape in self._places[name]:
                self._file.seek(start)
                packed.append((self._file.read(length), shape))
        return [np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape) for data, shape in packed]
