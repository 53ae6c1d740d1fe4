"""Atomic file writes."""

import errno
import logging
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dreaming.errors import SpaceError

log = logging.getLogger(__name__)

UNFINISHED = ".part"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a full disk is told by; a FAT file system or a quota may end a file early, too."""
GONE = (errno.ENOENT, errno.ESTALE)
"""What a file is told by that was removed while it was open, here or by another machine."""
TRIES = 10
"""How often a file is begun that others remove while it is written; each does so once, on its way to its own work."""


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
            hint="free some space and start again: what was written before stays and is not made twice",
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
