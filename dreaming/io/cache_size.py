"""The sizes of caches, announced before they are written."""

import logging
import shutil
from pathlib import Path

from dreaming.errors import SpaceError

log = logging.getLogger(__name__)

NOTABLE = 1e8
"""Bytes from which a cache is announced at info level."""


def announce(folder: Path, title: str, items: int, bytes_each: float) -> None:
    """Log the size that a cache is about to grow by, and the free space.

    Args:
        folder: The clip's folder.
        title: The cache.
        items: Number of files, or of entries of a temporary file, to write.
        bytes_each: Their estimated mean size.

    Raises:
        SpaceError: If the disk cannot hold them.
    """
    size, free = items * bytes_each, shutil.disk_usage(folder).free
    if size > free:
        raise SpaceError(
            folder,
            found=f"{readable(free)} of free space",
            expected=f"about {readable(size)} for {items} items of {title}",
            hint="free some space, such as with prune=list, or extract fewer or smaller frames",
        )
    level = logging.INFO if size >= NOTABLE else logging.DEBUG
    log.log(level, "%s: about %s for %d items, %s free", title, readable(size), items, readable(free))


def readable(size: float) -> str:
    """A number of bytes in B, kB, MB, GB or TB."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "B" or size >= 100 else f"{size:.1f} {units[0]}"
