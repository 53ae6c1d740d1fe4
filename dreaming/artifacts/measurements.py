"""Values measured on all frames of a folder, kept so that frames that have not changed are not read again."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from dreaming import __version__
from dreaming.artifacts.fingerprint import fingerprint
from dreaming.artifacts.record import read_record, write_record
from dreaming.io.atomic import is_writable
from dreaming.io.file_stamp import FileStamp

T = TypeVar("T")

log = logging.getLogger(__name__)

RECORD = ".measurements.json"
"""Record in the clip's folder; it may be deleted."""

KEPT = 32
"""Values that the record remembers."""


def measured(root: Path, name: str, folder: Path, depends: Sequence[object], measure: Callable[[], T]) -> T:
    """Return what ``measure`` returns, or what it returned before the folder or ``depends`` changed.

    The folder is compared by the sizes, times and inode numbers of its files, which are not read.

    Args:
        root: The clip's folder.
        name: Name of the value, unique in the clip.
        folder: The folder whose files are measured.
        depends: Whatever else the value depends on, as text or numbers.
        measure: Returns a value that JSON holds exactly: numbers, texts, lists, and objects with texts as keys.
    """
    # Before the files are read: if one changes meanwhile, the next call measures again.
    stamp = fingerprint(__version__, FileStamp.of(folder).digest, *map(str, depends))
    entry = _entries(root).get(name)
    if isinstance(entry, dict) and entry.get("stamp") == stamp and "value" in entry:
        log.debug("%s: not measured again, because no file has changed", name)
        value: T = entry["value"]
        return value
    value = measure()
    if is_writable(root):
        others = [(key, kept) for key, kept in _entries(root).items() if key != name]
        values = {name: {"stamp": stamp, "value": value}, **dict(others[: KEPT - 1])}
        write_record(root / RECORD, {"values": values})
    return value


def _entries(root: Path) -> dict[str, object]:
    entries = (read_record(root / RECORD) or {}).get("values")
    return entries if isinstance(entries, dict) else {}
