"""Single files of results, such as ``dream.mp4``, which a person may have edited or replaced."""

import logging
from pathlib import Path

from dreaming.artifacts.fingerprint import digest
from dreaming.artifacts.folder import set_aside_name
from dreaming.artifacts.record import read_record, write_record
from dreaming.io.atomic import refuse_links, write_atomically
from dreaming.io.locks import lock

log = logging.getLogger(__name__)

RECORD = ".outputs.json"
"""Record beside the files: the digests that a file of each name has if dreaming wrote it."""


def write_output(path: Path, data: bytes) -> None:
    """Write a result atomically, as ``write_atomically`` does, and keep a file that somebody changed."""
    write_atomically(path, data, replace=replace_output)


def replace_output(temporary: Path, path: Path) -> None:
    """Rename a finished temporary file to a result.

    A file that dreaming did not write there, or that somebody has changed since, is renamed to ``NAME.kept-1`` first.

    Raises:
        ClipError: If the result is a symbolic link.
    """
    refuse_links(path)
    record = path.parent / RECORD
    with lock(path.parent, "outputs", f"{path.name}: waiting for another process"):
        found = read_record(record) or {}
        ours, before = found.get(path.name), digest(path) if path.is_file() else None
        if before is not None and not (isinstance(ours, list) and before in ours):
            kept = set_aside_name(path)
            path.rename(kept)
            log.warning("%s: not written by dreaming, or changed since, so kept as %s", path, kept.name)
            before = None
        # Both until the next time, so that a kill right before or after the renaming leaves a known file.
        write_record(record, {**found, path.name: [digest(temporary), *([before] if before else [])]})
        temporary.replace(path)
