"""Errors of the operating system that a user can correct: permissions, read-only disks, full disks, odd files."""

import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dreaming.cli.config import parse
from dreaming.errors import AccessError, DreamingError, MemoryShortageError
from dreaming.io.atomic import DENIED, FULL, is_writable, space_error

ODD = (
    errno.ENOENT,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EIO,
    errno.ENXIO,
    errno.ENOTEMPTY,
    errno.EEXIST,
)
"""Errors of missing files, a folder in place of a file or the reverse, link loops, long names and failing disks."""

NOUNS = {errno.EISDIR: "a folder in place of a file", errno.ENOTDIR: "a file in place of a folder"}
"""What was found, where the system's own words are a sentence about it."""

MEMORY = re.compile(
    r"(can't|cannot|failed to|unable to) allocate|(out of|not enough|insufficient) memory", re.IGNORECASE
)
"""In messages of torch, CUDA and OpenCV."""


def system_error(error: Exception) -> DreamingError | None:
    """Convert an error of the operating system, or one that it caused, to one sentence; None for any other error."""
    if (shortage := _memory_shortage(error)) is not None:
        return shortage
    if not isinstance(error, OSError) and isinstance(error.__cause__, OSError):
        error = error.__cause__  # such as logging's, whose configuration opens a file
    if not isinstance(error, OSError):
        return None
    where = error.filename2 or error.filename
    if isinstance(where, bytes):
        where = os.fsdecode(where)
    if error.errno in FULL:
        return space_error(where or fullest(written_folders()), "room to write")
    if isinstance(error, PermissionError) and error.errno is None:  # raised by a library, with its own sentence
        return AccessError("a file", topic="no-permission", found=str(error).rstrip("."), expected="a writable folder")
    if error.errno in DENIED or (error.errno in ODD and where):
        return AccessError(
            where or "a file",
            topic="no-permission",
            found=NOUNS.get(error.errno or 0, os.strerror(error.errno or 0).lower()),
            expected="a file or folder that this user may read and write",
            hint="use a shorter name"
            if error.errno == errno.ENAMETOOLONG
            else "change its permissions, or move it away",
        )
    return None


def _memory_shortage(error: Exception) -> MemoryShortageError | None:
    """The error for settings that need more memory than there is; None for any other error."""
    text = str(error)
    shaped = type(error).__module__ == "cv2" or isinstance(error, RuntimeError)
    if not isinstance(error, MemoryError) and not (shaped and MEMORY.search(text)):
        return None
    asked = re.search(r"allocate ([\d.]+ (?:bytes|[KMGT]i?B))", text, re.IGNORECASE)
    return MemoryShortageError(
        "memory",
        found=f"no room for another {asked[1]}" if asked else "no room for more",
        expected="settings that fit into the memory of this machine",
        hint="lower the size of crops, patches or tiles, or their number in a batch, or extract smaller frames",
    )


def check_working_folder() -> None:
    """Refuse to work in a folder that was deleted, where no relative path has a meaning.

    Raises:
        AccessError: If it was.
    """
    try:
        Path.cwd()
    except OSError:
        raise AccessError(
            "the working folder", found="no such folder any more", expected="an existing one", hint="cd to another"
        ) from None


def named_clips(arguments: Sequence[str]) -> list[Path]:
    """The clip folders that arguments name; a multirun's list of several counts as one that does not exist."""
    return [Path(str(override.value())) for override in parse(arguments) if override.key_or_group == "clip"]


def written_folders() -> list[Path]:
    """Folders that a run writes to: the clip, the working folder and the system's folder of temporary files."""
    folders = [*named_clips(sys.argv[1:]), Path.cwd(), Path(tempfile.gettempdir())]
    return [folder for folder in folders if folder.is_dir()]


def fullest(folders: Sequence[Path]) -> Path:
    """The folder whose disk has least space left."""
    return min(folders, key=lambda folder: shutil.disk_usage(folder).free)


@contextmanager
def run_folder_of_read_only_clip(arguments: Sequence[str]) -> Iterator[None]:
    """Let Hydra write its records to a temporary folder if the clip cannot be written."""
    clips = named_clips(arguments)
    chosen = any(str(override.key_or_group) == "hydra.run.dir" for override in parse(arguments))
    if chosen or {"-m", "--multirun"} & set(arguments) or not clips or not clips[-1].is_dir() or is_writable(clips[-1]):
        yield
        return
    before = sys.argv
    with tempfile.TemporaryDirectory(prefix="dreaming-") as folder:
        sys.argv = [*before, f"hydra.run.dir={folder}"]
        try:
            yield
        finally:
            sys.argv = before
