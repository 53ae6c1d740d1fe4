"""Digests of the user's frames, recorded so that a long clip is not read again by each command."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dreaming.artifacts.fingerprint import digest, fingerprint, stamp
from dreaming.artifacts.record import read_record, write_record
from dreaming.io.atomic import is_writable

RECORD = ".digests.json"
"""Record in the clip's folder; it may be deleted."""

RECORDED = 10**8
"""Bytes of frames from which digests are recorded; fewer are read in a moment."""

MARGIN_NS = 2 * 10**9
"""A file that changed less than this long ago may change again within the same tick of its time stamp."""


def fingerprint_frames(folder: Path, paths: Sequence[Path]) -> str:
    """Return ``fingerprint_files`` of a clip's frames, reading only those that changed since they were recorded.

    A file has changed if its size, inode number, or the time of the last change of its contents or status differs.
    """
    stamps = {path: stamp(path) for path in paths}
    is_large = sum(size for size, *_ in stamps.values()) >= RECORDED
    found = (read_record(folder / RECORD) or {}).get("files") if is_large else None
    known = found if isinstance(found, dict) else {}
    now, digests, settled = time.time_ns(), dict[Path, str](), dict[str, list[Any]]()
    for path, current in stamps.items():
        digests[path] = _recorded(known.get(path.name), current) or digest(path)
        if max(current[1:3]) < now - MARGIN_NS and stamp(path) == current:
            settled[path.name] = [*current, digests[path]]
    if is_large and settled != known and is_writable(folder):
        write_record(folder / RECORD, {"files": settled})
    return fingerprint([(path.name, value) for path, value in digests.items()])


def _recorded(entry: object, current: tuple[int, ...]) -> str | None:
    """The digest in a file's entry of the record, if the file has not changed since."""
    if isinstance(entry, list) and len(entry) == len(current) + 1 and entry[:-1] == [*current]:
        return entry[-1] if isinstance(entry[-1], str) else None
    return None
