"""Stamps of files and folders, which differ once a file has changed, made without reading the files."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from hashlib import blake2b
from pathlib import Path

ALL = ("*",)
"""Patterns of all files."""


@dataclass(frozen=True)
class FileStamp:
    """What the file system records of a file, or of all files in a folder.

    Attributes:
        digest: Of names, sizes, times and inode numbers; empty for a path that does not exist.
        newest: Time of the last change of any of these files, or of a folder's list of files, in nanoseconds.
    """

    digest: str = ""
    newest: int = 0

    @classmethod
    def of(cls, path: Path, patterns: tuple[str, ...] = ALL) -> "FileStamp":
        """Stamp a file, or the files of these patterns in a folder and the folders below it.

        The time of the last change of a file's status is part of it. No program can set it, so a file that was replaced
        by another one of the same size and modification time has another stamp.
        """
        digest, newest, found = blake2b(digest_size=16), 0, False
        for name, status, is_folder in _statuses(path):
            found = True
            if is_folder:
                newest = max(newest, status.st_mtime_ns)
            elif patterns == ALL or any(fnmatch(name.rpartition("/")[2], pattern) for pattern in patterns):
                newest = max(newest, status.st_mtime_ns, status.st_ctime_ns)
                values = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
                digest.update(f"{name}\0{values}\0".encode(errors="surrogateescape"))
        return cls(digest.hexdigest(), newest) if found else cls()


def _statuses(path: Path) -> Iterator[tuple[str, os.stat_result, bool]]:
    """Yield names, statuses and kinds (True: folder) of a path and of all below it, in a fixed order."""
    open_ends, visited = [(str(path), "")], set[tuple[int, int]]()
    while open_ends:
        file, name = open_ends.pop()
        try:
            status = os.stat(file)  # noqa: PTH116 -- Path.stat takes three times as long
            is_folder = stat.S_ISDIR(status.st_mode)
            inside = sorted(os.listdir(file)) if is_folder else []  # noqa: PTH208 -- the same
        except OSError:  # removed meanwhile, a link to nothing, or no permission
            continue
        if not is_folder:
            yield name, status, False
        elif (status.st_dev, status.st_ino) not in visited:  # a link may lead to a folder above
            visited.add((status.st_dev, status.st_ino))
            yield name, status, True
            open_ends += [(f"{file}/{each}", f"{name}/{each}") for each in inside]
