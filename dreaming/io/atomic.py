"""Atomic file writes, and the temporary files behind them."""

import errno
import hashlib
import itertools
import logging
import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dreaming.errors import AccessError, ClipError, SpaceError

log = logging.getLogger(__name__)

UNFINISHED = ".part"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a full disk; a quota or a FAT file system may also end a file early."""
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Errors of missing permissions, and of a disk that is mounted read-only."""
GONE = (errno.ENOENT, errno.ESTALE)
"""Errors of a file that this or another machine removed while it was open."""
TRIES = 10
"""Attempts to write a file whose temporary file others remove; each of them does so at most once, when it starts."""
LONGEST = 120
"""Bytes of a file's name that the names of its temporary and lock files repeat; file systems allow 255 in all."""

_HOST = re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())[:40]
_OWNER = re.compile(r"[A-Za-z0-9_]{1,40}-\d+-\d+")
"""End of a temporary file's name: ``owner`` and a number."""
_counter = itertools.count()
_writing = set[Path]()
"""Temporary files that this process is writing."""
_begun = 0


def shorten(name: str) -> str:
    """The name, or its start and a digest where it is longer than ``LONGEST`` bytes."""
    data = name.encode()
    if len(data) <= LONGEST:
        return name
    start = data[: LONGEST - 17].decode(errors="ignore")
    return f"{start}-{hashlib.blake2b(data, digest_size=8).hexdigest()}"


def owner() -> str:
    """Host and id of this process, as in the names of its temporary files."""
    return f"{_HOST}-{os.getpid()}"


def is_running(process: str) -> bool | None:
    """Whether the process of this ``owner`` is running; None if unknown, as for another machine."""
    host, _, number = process.rpartition("-")
    if host != _HOST or not number.isdecimal() or os.name != "posix":
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def writes_begun() -> int:
    """A number that changes as soon as this process begins to write a file."""
    return _begun


def is_writable(folder: Path) -> bool:
    """Whether this process may create files in a folder: its permissions allow it, and the disk is not read-only."""
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def temporary_path(path: Path) -> Path:
    """A new hidden name beside ``path`` to write to before renaming, which ``discard_unfinished`` recognises."""
    global _begun
    _begun += 1
    return path.with_name(f".{shorten(path.name)}.{owner()}-{next(_counter)}{UNFINISHED}")


def refuse_links(*paths: Path) -> None:
    """Refuse output files and folders that are symbolic links: what they point to is somebody else's.

    Raises:
        ClipError: If one of them is.
    """
    for path in paths:
        if path.is_symlink():
            raise ClipError(
                path,
                found=f"a symbolic link to {path.readlink()}",
                expected="a file or folder of its own for results, which may be replaced",
                hint="remove the link; to use another disk, move the whole clip folder there",
            )


def refuse_links_in(folder: Path) -> None:
    """Refuse a folder that is or contains a symbolic link, except those that W&B makes, and replaces itself.

    Raises:
        ClipError: If there is one, through which a file elsewhere might be overwritten.
    """
    refuse_links(folder, *(path for path in folder.rglob("*") if path.is_symlink() and not _is_of_wandb(path)))


def _is_of_wandb(link: Path) -> bool:
    """Whether a link is one to W&B's latest run or its log, or to the log of W&B's service in the user's cache."""
    target = link.readlink()
    if link.name == "debug-core.log" and link.match("wandb/*run-*/logs/*"):
        return target.match("logs/core-debug-*.log")
    inside = not target.is_absolute() and (link.parent / target).resolve().is_relative_to(link.parent.resolve())
    return inside and link.parent.name == "wandb" and link.name in ("latest-run", "debug.log", "debug-internal.log")


def write_atomically(path: Path, data: bytes, *, replace: Callable[[Path, Path], object] | None = None) -> None:
    """Write a file atomically: after a kill or a power cut it is complete or as it was before.

    The file's permissions follow the umask. A file that holds these bytes already stays as it is, so that a finished
    clip can be read where it cannot be written. ``replace`` renames the finished temporary file.

    Raises:
        ClipError: If the file is a symbolic link.
        SpaceError: If the disk is full.
        AccessError: If the file or its folder may not be written.
    """
    refuse_links(path)
    if _holds(path, data):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in reversed(range(TRIES)):
            try:
                _write(path, data, replace or Path.replace)
                return
            except OSError as error:
                if error.errno not in GONE or not left:
                    raise
                log.debug("%s: retrying: another process removed this temporary file", path)
                path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in DENIED:
            raise access_error(path, error.errno) from None
        if error.errno not in FULL:
            raise
        raise space_error(path, f"room for {len(data):,} bytes") from None


def space_error(where: object, room: str) -> SpaceError:
    """The error for a disk on which there is no ``room`` for a file, for one of ``FULL``."""
    return SpaceError(
        where,
        found="no space left on the disk",
        expected=room,
        hint="free some space, such as with prune=list, and run the same command again; finished files are kept",
    )


def access_error(path: Path, number: int) -> AccessError:
    """The error for a file that may not be written, for one of ``DENIED``."""
    return AccessError(
        path,
        topic="no-permission",
        found=f"a file that cannot be written ({os.strerror(number)})",
        expected="permission to write to its folder",
        hint="change the permissions, or copy the clip to a disk that can be written",
    )


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.is_file() and path.read_bytes() == data
    except OSError:
        return False


def _write(path: Path, data: bytes, replace: Callable[[Path, Path], object]) -> None:
    temporary = temporary_path(path)
    _writing.add(temporary)
    try:
        with temporary.open("xb") as out:
            out.write(data)
            # The name may reach the disk before the data: without this, a power cut could leave an empty file.
            out.flush()
            os.fsync(out.fileno())
        replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        _writing.discard(temporary)


def unfinished_files(folder: Path) -> list[Path]:
    """Temporary files in a folder, of killed and of running processes; none where this process may not remove them."""
    return list(folder.glob(f".*{UNFINISHED}")) if is_writable(folder) else []


def discard_unfinished(folder: Path, names: Iterable[str], found: Iterable[Path] | None = None) -> None:
    """Remove the temporary files of these names that killed processes left.

    A file stays while its process runs on this machine. Another machine's processes cannot be checked, so their files
    are removed, and ``write_atomically`` there tries again.

    Args:
        folder: The folder.
        names: Names of the finished files.
        found: The folder's ``unfinished_files``, listed once for many calls; by default it is listed again.
    """
    prefixes = {f".{shorten(name)}" for name in names}
    for path in unfinished_files(folder) if found is None else found:
        prefix, _, writer = path.name.removesuffix(UNFINISHED).rpartition(".")
        if prefix not in prefixes or not _OWNER.fullmatch(writer):
            continue
        process = writer.rpartition("-")[0]
        alive = path in _writing if process == owner() else is_running(process)
        if not alive:
            path.unlink(missing_ok=True)


def abandoned_files(folder: Path) -> Iterator[Path]:
    """Yield the temporary files, in a folder and below, of processes of this machine that no longer run."""
    for path in folder.rglob(f".*{UNFINISHED}"):
        writer = path.name.removesuffix(UNFINISHED).rpartition(".")[2]
        if _OWNER.fullmatch(writer) and is_running(writer.rpartition("-")[0]) is False and path.is_file():
            yield path
