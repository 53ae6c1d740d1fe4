"""Locks between processes, as files that the system releases when their process dies."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import filelock

from dreaming.io.atomic import is_writable, refuse_links, shorten

log = logging.getLogger(__name__)

FOLDER = ".locks"


@contextmanager
def lock(root: Path, name: str, waiting: str) -> Iterator[None]:
    """Hold the lock of this name while the block runs; wait for it if another process holds it.

    Args:
        root: The clip's folder, in whose ``.locks/`` the file lies.
        name: What is locked; any text.
        waiting: Logged at info level if another process holds the lock.
    """
    held = _file_lock(root, name)
    if held is None:
        yield
        return
    try:
        held.acquire(timeout=0)
    except filelock.Timeout:
        log.info(waiting)
        held.acquire()
    try:
        yield
    finally:
        held.release()


@contextmanager
def try_lock(root: Path, name: str) -> Iterator[bool]:
    """Hold the lock of this name while the block runs, and yield True; yield False if another process holds it."""
    held = _file_lock(root, name)
    if held is None:
        yield True
        return
    try:
        held.acquire(timeout=0)
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        held.release()


def _file_lock(root: Path, name: str) -> filelock.BaseFileLock | None:
    """The lock; None in a folder that this process may only read, which it cannot change."""
    if root.exists() and not is_writable(root):
        return None
    path = root / FOLDER / f"{shorten(quote(name, safe=' ').replace('%2F', '+'))}.lock"
    refuse_links(path.parent, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(path)
